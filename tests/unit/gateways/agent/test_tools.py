"""The tools are as the API wants them; every call is a request, a finish or words for the model."""

from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from gateways.learnings.report import ReportLearning
from gateways.tools.definitions import EDITOR_TOOL, InvalidCall, ReportIssue, ToolRequest, definitions, parse
from gateways.tools.finish_schemas import CheckerFinish, EvaluatorFinish, Finish
from models.agent.session_kind import SessionKind

KINDS = list(SessionKind)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["command", "path", "file_text", "old_str", "new_str", "insert_line", "view_range", "restart", "pattern"]
)
VALUES = JSON | st.sampled_from(["view", "create", "str_replace", "insert", "pass", "fail", "ls", "/a"])


def wire(name: str, **input: JsonValue) -> dict[str, JsonValue]:
    request = parse(SessionKind.worker, name, input)
    assert isinstance(request, ToolRequest), request
    return request.wire()


def fault(kind: SessionKind, name: str, **input: JsonValue) -> str:
    answer = parse(kind, name, input)
    assert isinstance(answer, InvalidCall), answer
    return answer.text


def defined(schema: Any) -> list[Any]:
    return list(schema.get("$defs", {}).values())


@pytest.mark.parametrize("kind", KINDS)
def test_the_tools_are_anthropics_own_and_ours(kind: SessionKind) -> None:
    tools = definitions(kind)
    in_sandbox = [
        {"type": "bash_20250124", "name": "bash"},
        {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool"},
    ]
    anthropics = in_sandbox if kind.has_sandbox else []
    assert tools[: len(anthropics)] == anthropics
    reports = {SessionKind.scout: ["report_issue"], SessionKind.extractor: ["report_learning"]}
    finishing = [] if kind is SessionKind.companion else ["finish"]
    ours = [*(["search"] if kind.has_sandbox else []), *reports.get(kind, []), *finishing]
    assert [tool["name"] for tool in tools[len(anthropics) :]] == ours
    assert definitions(kind) == tools, "the prompt cache wants the same words every time"
    for tool in tools[len(anthropics) :]:
        schema = tool["input_schema"]
        assert isinstance(schema, dict)
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["type"] == "object"
        for part in (schema, *defined(schema)):
            assert "title" not in part
            assert all("title" not in each for each in part.get("properties", {}).values())
        assert "null" not in str(schema)


def test_a_companion_has_nothing_to_finish() -> None:
    fault = parse(SessionKind.companion, "finish", {"summary": "Done."})
    assert isinstance(fault, InvalidCall)
    assert "There is no tool `finish`" in fault.text


def ranked(branch: str, score: int) -> dict[str, JsonValue]:
    return {"branch": branch, "score": score, "reasons": ["Because."]}


@pytest.mark.parametrize(
    ("kind", "required"),
    [
        (SessionKind.worker, ["summary"]),
        (SessionKind.checker, ["summary", "verdict"]),
        (SessionKind.evaluator, ["summary", "score", "reasons"]),
        (SessionKind.judge, ["summary", "ranking"]),
    ],
)
def test_finish_asks_for_what_the_role_must_say(kind: SessionKind, required: list[str]) -> None:
    schema = definitions(kind)[-1]["input_schema"]
    assert isinstance(schema, dict)
    assert schema["required"] == required


def test_requests_reach_the_toolbox_in_anthropics_own_words() -> None:
    assert wire("bash", command="ls -l") == {"tool": "bash", "command": "ls -l", "restart": False}
    assert wire("bash", restart=True, command=None) == {"tool": "bash", "restart": True}
    assert wire("bash", command="make", timeout_seconds=60)["timeout_seconds"] == 60
    edit = {"tool": "edit", "path": "/a.py"}
    assert wire(EDITOR_TOOL, command="view", path="/a.py") == edit | {"command": "view"}
    assert wire(EDITOR_TOOL, command="view", path="/a.py", view_range=[1, -1])["view_range"] == [1, -1]
    assert wire(EDITOR_TOOL, command="create", path="/a.py", file_text="") == edit | {
        "command": "create",
        "file_text": "",
    }
    assert wire(EDITOR_TOOL, command="str_replace", path="/a.py", old_str="a") == edit | {
        "command": "str_replace",
        "old_str": "a",
        "new_str": "",
    }
    assert wire(EDITOR_TOOL, command="insert", path="/a.py", insert_line=0, insert_text="x\n") == edit | {
        "command": "insert",
        "insert_line": 0,
        "insert_text": "x\n",
    }
    assert wire("search", pattern="x", path=None, cwd=None) == {
        "tool": "search",
        "pattern": "x",
        "path": ".",
        "max_results": 100,
    }
    assert wire("search", pattern="def ", glob="*.py", path="src", max_results=5) == {
        "tool": "search",
        "pattern": "def ",
        "path": "src",
        "glob": "*.py",
        "max_results": 5,
    }


def test_finish_is_told_apart_by_role() -> None:
    assert parse(SessionKind.worker, "finish", {"summary": "done"}) == Finish(summary="done")
    failed = {"summary": "no", "verdict": "fail", "feedback": "add a test"}
    assert parse(SessionKind.checker, "finish", failed) == CheckerFinish(
        summary="no", verdict="fail", feedback="add a test"
    )
    scored: dict[str, JsonValue] = {"summary": "ok", "score": 82, "reasons": ["Every edge is tested."]}
    assert parse(SessionKind.evaluator, "finish", scored) == EvaluatorFinish(
        summary="ok", score=82, reasons=["Every edge is tested."]
    )


@pytest.mark.parametrize(
    ("kind", "name", "input", "said"),
    [
        (SessionKind.worker, "bash", {}, ["`command` is missing", '{"restart": true}']),
        (SessionKind.worker, "bash", {"command": " \n"}, ["blank"]),
        (SessionKind.worker, "bash", {"command": 7}, ["`command`", "string"]),
        (SessionKind.worker, "bash", {"command": "ls", "cwd": "/x"}, ["`cwd`"]),
        (SessionKind.worker, EDITOR_TOOL, {"path": "/a"}, ["'command'", '"view"']),
        (SessionKind.worker, EDITOR_TOOL, {"command": "undo_edit", "path": "/a"}, ["undo_edit", "'insert'"]),
        (
            SessionKind.worker,
            EDITOR_TOOL,
            {"command": "create", "path": "/a"},
            ["`file_text`: Field required"],
        ),
        (SessionKind.worker, EDITOR_TOOL, {"command": "view", "path": "/a\0"}, ["`path`", "NUL"]),
        (
            SessionKind.worker,
            EDITOR_TOOL,
            {"command": "view", "path": "/a", "view_range": [9, 3]},
            ["`view_range`", "-1"],
        ),
        (
            SessionKind.worker,
            EDITOR_TOOL,
            {"command": "str_replace", "path": "/a", "old_str": ""},
            ["`old_str`"],
        ),
        (SessionKind.worker, "search", {"pattern": ""}, ["`pattern`"]),
        (SessionKind.worker, "finish", {"summary": " "}, ["`summary`", "blank"]),
        (SessionKind.worker, "finish", {"summary": "x", "verdict": "pass"}, ["`verdict`"]),
        (SessionKind.checker, "finish", {"summary": "x"}, ["`verdict`: Field required", '"pass"']),
        (SessionKind.checker, "finish", {"summary": "x", "verdict": "fail"}, ["`feedback` is required"]),
        (
            SessionKind.evaluator,
            "finish",
            {"summary": "x", "score": 101},
            ["`score`", "less than or equal to 100", "`reasons`: Field required"],
        ),
        (
            SessionKind.judge,
            "finish",
            {"summary": "x", "ranking": [ranked("a", 10), ranked("b", 20)]},
            ["`ranking`", "best first"],
        ),
        (
            SessionKind.judge,
            "finish",
            {"summary": "x", "ranking": [ranked("a", 20), ranked("a", 10)]},
            ["`ranking`", "twice"],
        ),
        (SessionKind.worker, "web_search", {}, ["no tool `web_search`", "finish"]),
    ],
)
def test_a_fault_says_what_was_wrong_and_what_to_send(
    kind: SessionKind, name: str, input: dict[str, JsonValue], said: list[str]
) -> None:
    text = fault(kind, name, **input)
    for words in said:
        assert words in text


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(["bash", EDITOR_TOOL, "search", "finish"]) | st.text(max_size=10),
    input=st.dictionaries(FIELDS | st.text(max_size=8), VALUES, max_size=5),
)
def test_no_input_is_an_exception_and_every_request_can_be_asked_again(
    kind: SessionKind, name: str, input: dict[str, JsonValue]
) -> None:
    answer = parse(kind, name, input)
    if isinstance(answer, ToolRequest):
        sent = {field: value for field, value in answer.wire().items() if field != "tool"}
        assert parse(kind, name, sent) == answer
    elif isinstance(answer, Finish):
        schema = definitions(kind)[-1]["input_schema"]
        assert isinstance(schema, dict)
        jsonschema.validate(answer.model_dump(mode="json", exclude_none=True), schema)
    elif isinstance(answer, ReportIssue):
        assert (kind, answer.title != "") == (SessionKind.scout, True)
    elif isinstance(answer, ReportLearning):
        assert (kind, answer.description != "") == (SessionKind.extractor, True)
    else:
        assert answer.text
