"""A run's events as lines for people."""

from datetime import datetime
from typing import cast

from pydantic import JsonValue
from rich.text import Text

from cli.demo.client import Json

_STYLES = {
    "run.completed": "bold green",
    "run.failed": "bold red",
    "run.cancelled": "red",
    "pr.created": "green",
}
_HIDDEN_EVENTS = ("message.received",)
_EDITOR = "str_replace_based_edit_tool"
_MAX_CHARS = 100


def format_event(event: Json, began: datetime) -> Text | None:
    """What an event says, with the seconds since the run began; None for what needs no line."""
    kind, data = str(event["type"]), cast("Json", event["data"])
    if kind in _HIDDEN_EVENTS:
        return None
    seconds = (datetime.fromisoformat(str(event["createdAt"])) - began).total_seconds()
    words = _describe(kind, data)
    text = Text(f"{seconds:6.1f} s  ", style="dim")
    text.append(f"{kind:<18}", style=_STYLES.get(kind, "cyan"))
    return text.append(f" {words}".rstrip(), style="default")


def shorten(text: JsonValue) -> str:
    """The first line of a text, cut if it is long."""
    first = next((line.strip() for line in str(text or "").splitlines() if line.strip()), "")
    return first if len(first) <= _MAX_CHARS else first[: _MAX_CHARS - 1] + "…"


def format_tool_call(name: JsonValue, given: JsonValue) -> str:
    """A tool call in a few words: the command it runs or the file it touches."""
    fields = given if isinstance(given, dict) else {}
    what = [fields[key] for key in ("command", "path", "pattern") if fields.get(key)]
    short = "edit" if name == _EDITOR else str(name)
    return f"{short}: {shorten(' '.join(map(str, what)))}" if what else short


def _describe(kind: str, data: Json) -> str:
    match kind:
        case "run.created":
            return f"run {data['runNumber']}: {shorten(data['name'])}"
        case "step.started":
            return f"{data['label']}, iteration {data['iteration']}"
        case "step.completed":
            verdict = f" [{data['verdict']}]" if data.get("verdict") else ""
            return f"{data['label']}{verdict}: {shorten(data['summary'])}"
        case "turn.completed":
            return shorten(data["text"]) or ", ".join(map(str, cast("list[JsonValue]", data["tools"])))
        case "tool.completed":
            failed = "  (failed)" if data["isError"] else ""
            return f"{format_tool_call(data['name'], data['input'])}{failed}"
        case "repository.cloned":
            return f"{data['branch']} from {data['baseBranch']}"
        case "branch.pushed":
            return f"{data['branch']} at {shorten(data['sha'])[:10]}"
        case "pr.created":
            return str(data["url"])
        case _:
            told = data.get("message") or data.get("reason") or data.get("status")
            return shorten(told)
