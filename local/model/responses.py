"""From a request to the scripted answer: a pure function, so that a repeated request gets the same answer."""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from local.model.requests import CountRequest, invalid
from local.model.rules import signature
from local.model.scenarios import Scenario, StopReason, Turn, find_scenario
from local.model.token_usage import count_tokens

LABEL = "[scripted model]"

ContentBlock = dict[str, JsonValue]


@dataclass(frozen=True)
class ScriptedResponse:
    id: str
    content: list[ContentBlock]
    stop_reason: StopReason
    turn: Turn
    conversation: str
    """Identifies the conversation, scenario and turn, for faults that happen once."""

    @property
    def output_tokens(self) -> int:
        return sum(count_tokens(json.dumps(block)) for block in self.content)


def respond(request: CountRequest, scenarios: Sequence[Scenario]) -> ScriptedResponse:
    """Play the turn that is due.  All it takes is read from the request: nothing is remembered."""
    number = sum(turn.role == "assistant" for turn in request.turns)
    prompt = request.first_prompt
    system = request.system_text
    scenario = find_scenario(scenarios, role_of(system), prompt, request.offered_tools, system)
    turn = _forced_turn(request, scenario) or scenario.turn(number)
    conversation = _digest(request.system_text, request.opening, scenario.name, str(number))
    told = [each for past in request.turns for each in past.ids("tool_use")]
    identity = _digest(conversation, *told)  # of its own again where a conversation goes on from its summary
    values = {
        "prompt": prompt,
        "task": task_line(prompt),
        "slug": slug(task_line(prompt)),
        "images": ", ".join(each.described for each in request.turns[0].images) or "none",
    }
    content: list[ContentBlock] = []
    if turn.thinking and request.thinks:
        thinking = _add_label(_fill_placeholders(turn.thinking, values))
        shown = "" if request.thinking and request.thinking.display == "omitted" else thinking
        content.append({"type": "thinking", "thinking": shown, "signature": signature(shown)})
    if turn.text:
        content.append({"type": "text", "text": _add_label(_fill_placeholders(turn.text, values))})
    for index, call in enumerate(turn.tool_calls):
        use_id = f"toolu_{_digest(identity, str(index))[:24]}"
        filled = _fill_all(dict(call.input), values)
        content.append({"type": "tool_use", "id": use_id, "name": call.name, "input": filled})
    stop_reason = turn.stop_reason or ("tool_use" if turn.tool_calls else "end_turn")
    return ScriptedResponse(f"msg_{_digest(identity)[:24]}", content, stop_reason, turn, conversation)


def role_of(system: str) -> str:
    """The role named by a system prompt's first line, `Role: <role>`; empty without one."""
    match = re.match(r"Role:[ \t]*(.+)", system)
    return match.group(1).strip() if match else ""


def task_line(prompt: str) -> str:
    """The line of a first message that says what to do: of its `<task>` section, or its first plain one."""
    section = re.search(r"<(task|prompt)>\s*(.*?)\s*</\1>", prompt, re.DOTALL)
    lines = (section.group(2) if section else prompt).splitlines()
    plain = [
        line.strip() for line in lines if line.strip() and not re.match(r"\s*(#|<|Iteration \d+ of)", line)
    ]
    return plain[0] if plain else "no task was given"


def slug(line: str) -> str:
    """A line as a short file name: `Add a --shout flag!` is `add-a-shout-flag`."""
    words = re.findall(r"[a-z0-9]+", line.lower())
    return "-".join(words[:6])[:48].strip("-") or "task"


def _forced_turn(request: CountRequest, scenario: Scenario) -> Turn | None:
    """With `tool_choice` naming a tool, the last turn that calls it."""
    if request.tool_choice is None or request.tool_choice.type != "tool":
        return None
    name = request.tool_choice.name
    for turn in reversed(scenario.turns):
        if any(call.name == name for call in turn.tool_calls):
            return turn
    raise invalid(f"tool_choice: the scripted scenario '{scenario.name}' never calls '{name}'")


def _add_label(text: str) -> str:
    return text if LABEL in text else f"{LABEL} {text}"


def _fill_placeholders(text: str, values: dict[str, str]) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: values[match.group(1)], text)


def _fill_all(value: JsonValue, values: dict[str, str]) -> JsonValue:
    if isinstance(value, str):
        return _fill_placeholders(value, values)
    if isinstance(value, list):
        return [_fill_all(item, values) for item in value]
    if isinstance(value, dict):
        return {key: _fill_all(item, values) for key, item in value.items()}
    return value


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
