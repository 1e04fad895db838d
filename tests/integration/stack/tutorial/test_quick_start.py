"""The quick start of the API overview, executed as written: a run from its start to its conversation."""

import json
import time

import httpx
import pytest
from pydantic import JsonValue

from tests.integration.stack.tutorial.shell import CURLS, Answer, Shell
from tests.integration.stack.tutorial.shown import answers_under, assert_agrees, parsed
from tests.integration.stack.tutorial.texts import filled, snippets
from tests.support.detached_stack import DetachedStack
from tests.support.waiting import TEST_TIMEOUT_SECONDS

SNIPPETS = {section: code for (section, language), code in snippets("quick_start.md").items()}
STEPS = [section for section in SNIPPETS if section.startswith("Step ")]
"""Seconds for the run to complete, where the text says: wait."""

pytestmark = pytest.mark.stack
Played = dict[str, Answer]


@pytest.fixture(scope="module")
def known(stack: DetachedStack) -> dict[str, str]:
    """What the text leaves open from the beginning."""
    hosts = ("https://<your-deployment>.convex.site", "https://<deployment>.convex.site")
    return {"cc_live_...": stack.file.api_key, **dict.fromkeys(hosts, stack.file.api_url)}


@pytest.fixture(scope="module", params=CURLS)
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(CURLS[request.param], tmp_path_factory.mktemp("quick-start"))


@pytest.fixture(scope="module")
def played(shell: Shell, known: dict[str, str]) -> Played:
    """The five steps, each answered as shown; ids that one shows are used by the next."""
    values, answers = dict(known), {}
    for step in STEPS:
        answers[step] = _answered(shell, step, filled(SNIPPETS[step], values))
        values |= assert_agrees(answers_under(SNIPPETS[step]).body, answers[step].body)
    assert values["r_abc..."] == values["abc..."], "the first run that is listed is the one that was started"
    return answers


def test_every_snippet_is_known_to_these_tests() -> None:
    assert len(STEPS) == 5
    assert SNIPPETS.keys() == {"Authentication", "Resource IDs: id vs _id", *STEPS, "OpenAPI Discovery"}


def test_the_project_and_every_resource_have_their_id_under_both_names(
    shell: Shell, known: dict[str, str], played: Played
) -> None:
    project = shell.curl(filled(SNIPPETS["Authentication"], known))
    assert project.status == 200
    assert_agrees(parsed(SNIPPETS["Resource IDs: id vs _id"]), project.body)
    resources = [resource for answer in played.values() for resource in _resources(answer)]
    assert len(resources) >= len(STEPS)
    assert all(resource["id"] == resource["_id"] for resource in resources)


def test_statuses_are_200_and_201_for_the_start(played: Played) -> None:
    assert [answer.status for answer in played.values()] == [200, 201, 200, 200, 200]


def test_the_sandbox_messages_hold_the_conversation_and_the_run_s_detail_does_not(
    stack: DetachedStack, played: Played
) -> None:
    prompt = "Add a dark mode toggle to the settings page"
    conversation = _resources(played[STEPS[4]])
    assert prompt in str(conversation[0]["content"])
    assert [conversation[0]["role"], conversation[1]["role"]] == ["user", "assistant"]
    assert all(message["timestamp"] for message in conversation)
    said = {str(message["content"]) for message in conversation if message["role"] == "assistant"} - {""}
    assert said

    (started,) = _resources(played[STEPS[1]])
    detail = stack.get("runs/detail", id=str(started["id"]))
    assert_agrees({"id": started["id"], "status": "completed", "prStatus": "created"}, detail)
    assert_agrees({"steps": [{"label": "Design", "status": "completed"}, {"label": "Check"}]}, detail)
    assert not [words for words in said if json.dumps(words)[1:-1] in json.dumps(detail)]


def test_the_description_is_served_without_a_key(shell: Shell, known: dict[str, str]) -> None:
    answer = shell.curl(filled(SNIPPETS["OpenAPI Discovery"], known))
    assert answer.status == 200
    assert isinstance(answer.body, dict)
    assert str(answer.body["openapi"]).startswith("3.1.")
    assert isinstance(answer.body["paths"], dict)
    assert {"/api/v1/runs/start", "/api/v1/sandboxes/messages"} <= answer.body["paths"].keys()


def test_every_answer_is_for_every_origin(stack: DetachedStack, played: Played) -> None:
    url = f"{stack.file.api_url}/api/v1/runs/start"
    wish = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    preflight, refused = httpx.options(url, headers=wish), httpx.post(url)
    assert preflight.status_code == 204
    assert refused.status_code == 401
    for headers in (preflight.headers, refused.headers, *(answer.headers for answer in played.values())):
        assert headers["Access-Control-Allow-Origin"] == "*"


def _answered(shell: Shell, step: str, script: str) -> Answer:
    """The answer to a step; where the text says to wait, the first one after the newest run has ended."""
    answer, deadline = shell.curl(script), time.monotonic() + TEST_TIMEOUT_SECONDS
    while " - Wait" in step and _resources(answer)[0]["status"] in ("pending", "running"):
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.2)
        answer = shell.curl(script)
    return answer


def _resources(answer: Answer) -> list[dict[str, JsonValue]]:
    """The objects in `data`, of which a list has many."""
    assert isinstance(answer.body, dict)
    data = answer.body["data"]
    found = data if isinstance(data, list) else [data]
    return [resource for resource in found if isinstance(resource, dict)]
