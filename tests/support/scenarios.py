"""What the scripted model does in these tests: each test writes its own scenarios beside itself.

A scenario is registered when its module is imported and written to a file before the model starts.  It is
played for prompts that carry its tag, so that a test is read in one place.
"""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

Json = dict[str, object]


class Call(TypedDict):
    name: str
    input: Mapping[str, object]


class Turn(TypedDict):
    """One answer of the model, in the words of a scenario file."""

    toolCalls: list[Call]
    text: NotRequired[str]
    delayMs: NotRequired[int]
    repeat: NotRequired[int]
    faults: NotRequired[list[object]]


_SCENARIOS: dict[str, Json] = {}
_MODULE_BY_TAG: dict[str, str] = {}
"""By tag, the module whose scenarios carry it: which module is imported first decides nothing."""


def register_scenario(tag: str, *turns: Turn, role: str = "", told: str = "") -> str:
    """Register a scenario; its tag, which a prompt has to hold.

    role: only for steps of this role.
    told: a regular expression; only for conversations whose first message has it too.
    """
    caller = inspect.currentframe()
    assert caller is not None
    assert caller.f_back is not None
    module = caller.f_back.f_globals["__name__"]
    assert _MODULE_BY_TAG.setdefault(tag, module) == module, f"{_MODULE_BY_TAG[tag]} plays #{tag}# already"
    word = f"#{tag}#"
    when: Json = {"prompt": rf"(?s){word}.*{told}" if told else word}
    if role:
        when["role"] = f"^{role}$"
    name = "-".join(part for part in (tag, role, str(len(_SCENARIOS)).zfill(3)) if part)
    _SCENARIOS[name] = {"name": name, "when": when, "turns": list(turns)}
    return word


def bash(command: str) -> Turn:
    return tool_calls(("bash", {"command": command}))


def create(path: str, text: str) -> Turn:
    return tool_calls(
        (
            "str_replace_based_edit_tool",
            {"command": "create", "path": f"/home/user/repo/{path}", "file_text": text},
        )
    )


def finish(summary: str = "Done.", **more: object) -> Turn:
    return tool_calls(("finish", {"summary": summary, **more}))


def tool_calls(*named: tuple[str, Mapping[str, object]]) -> Turn:
    """Several tool calls in one answer."""
    return {"toolCalls": [{"name": name, "input": given} for name, given in named]}


def with_delay(turn: Turn, seconds: float) -> Turn:
    """The same answer after a silence."""
    return {**turn, "delayMs": round(seconds * 1000)}


def with_faults(turn: Turn, *faults: object) -> Turn:
    """The same answer after so many failures, one a request."""
    return {**turn, "faults": list(faults)}


def write(directory: Path) -> Path:
    """Write what is registered, newest conditions first where one tag has several, for the model to read."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, scenario in _SCENARIOS.items():
        (directory / f"{name}.json").write_text(json.dumps(scenario))
    return directory
