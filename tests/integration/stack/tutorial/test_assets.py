"""The page on contexts, skills, commands and scripts, executed as written."""

from typing import cast

import pytest

from tests.integration.stack.tutorial.pages import Json, Page, open_page
from tests.integration.stack.tutorial.shown import assert_agrees, assert_same_shape
from tests.support.detached_stack import DetachedStack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def page(stack: DetachedStack, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return open_page("assets.md", stack, tmp_path_factory.mktemp("assets"))


def versions(asset: Json) -> tuple[object, object]:
    """The number of the active version, and those of all."""
    return cast("Json", asset["activeVersion"])["version"], asset["versions"]


def test_a_context_is_published_rolled_back_and_trashed(page: Page) -> None:
    made = page.send("POST /api/v1/contexts")
    context = {"ctx_...": str(made["id"])}
    for _ in range(2):
        changed = page.send("PUT /api/v1/contexts/:id", context)
    assert versions(changed) == (3, [1, 2, 3])
    got = page.send("GET /api/v1/contexts/:id", context)
    assert got == changed
    assert_same_shape(page.object("Context Object"), got)
    [listed] = [row for row in page.all("GET /api/v1/contexts") if row["id"] == made["id"]]
    assert "content" not in cast("Json", listed["activeVersion"])
    latest, *_, first = page.all("GET /api/v1/contexts/:id/versions", context)
    assert (latest["version"], latest["isActive"], first["isActive"]) == (3, True, False)
    assert first["content"] == cast("Json", made["activeVersion"])["content"]

    activated = page.send("PUT /api/v1/contexts/:id/versions/:v/activate", context)
    assert activated["activeVersion"] == 2
    assert versions(page.send("GET /api/v1/contexts/:id", context)) == (2, [1, 2, 3])
    page.send("DELETE /api/v1/contexts/:id", context)
    assert page.answer("GET /api/v1/contexts/:id", context)[0] == 404


def test_a_skill_is_published_file_by_file(page: Page) -> None:
    made = page.send("POST /api/v1/skills")
    skill = {"skill_...": str(made["id"])}
    renamed = page.send("PUT /api/v1/skills/:id", skill)
    assert_agrees({"name": "React & React Native Component Generator"}, renamed)
    assert versions(renamed) == (1, [1])
    assert [page.send("PUT /api/v1/skills/:id/publish", skill)["version"] for _ in range(2)] == [2, 3]
    got = page.send("GET /api/v1/skills/:id", skill)
    assert_same_shape(page.object("Skill Object"), got)
    files = cast("list[Json]", cast("Json", got["activeVersion"])["files"])
    assert [file["name"] for file in files] == ["instructions.md", "example.tsx"]
    assert [row["version"] for row in page.all("GET /api/v1/skills/:id/versions", skill)] == [3, 2, 1]
    assert made["id"] in [row["id"] for row in page.all("GET /api/v1/skills")]
    page.send("DELETE /api/v1/skills/:id", skill)
    assert page.answer("GET /api/v1/skills/:id", skill)[0] == 404


@pytest.mark.parametrize(("kind", "elided"), [("command", "cmd_..."), ("script", "scr_...")])
def test_a_command_and_a_script_are_published_as_texts(page: Page, kind: str, elided: str) -> None:
    made = page.send(f"POST /api/v1/{kind}s")
    asset = {elided: str(made["id"])}
    assert page.answer(f"POST /api/v1/{kind}s", {})[0] == 409, "its name is taken"
    changed = page.send(f"PUT /api/v1/{kind}s/:id", asset)
    assert versions(changed) == (1, [1])
    assert changed["description"] != made["description"]
    assert page.send(f"PUT /api/v1/{kind}s/:id/publish", asset)["version"] == 2
    got = page.send(f"GET /api/v1/{kind}s/:id", asset)
    assert_same_shape(page.object(f"{kind.capitalize()} Object"), got)
    assert made["id"] in [row["id"] for row in page.all(f"GET /api/v1/{kind}s")]
    page.send(f"DELETE /api/v1/{kind}s/:id", asset)
    assert page.answer(f"GET /api/v1/{kind}s/:id", asset)[0] == 404


def test_every_request_of_the_page_was_sent(page: Page) -> None:
    assert page.left == []
