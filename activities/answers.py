"""A model's answer, stored with what it used and what its calls mean."""

from datetime import datetime
from typing import NamedTuple

from pydantic import JsonValue

from activities.conversations import Said, Speaker, Standing
from activities.recording import NewMessage, Record, record
from activities.spending import Spending
from activities.user_words import has_queued
from gateways.agent import ToolCall as Asked
from gateways.agent import Turn
from gateways.conversation import ToolResult
from gateways.finishing import Finish
from gateways.tools import Fault, Request, parse
from kit.direct import Direct
from kit.ids import new_id
from kit.scrub import Scrubber, storable
from models import CostRate, RunStep, ToolCall
from models.agent_session import MessageRole, turn_of
from models.base import JsonObject
from models.event import EventType
from models.run_step import StepStatus, Verdict

CLOSING = {"status", "completed_at", "output", "verdict", "feedback", "quality_score"}
"""Columns of a step that its end changes."""
SHOWN_TEXT = 2_000
"""Characters of an answer's text that its event carries."""


class Stored(NamedTuple):
    answer: Said
    results: list[ToolResult]
    """Of the calls that were answered at once."""
    standing: Standing


async def store(
    direct: Direct, speaker: Speaker, place: int, began: datetime, turn: Turn, rate: CostRate | None,
    scrubber: Scrubber,
) -> Stored | None:  # fmt: skip
    """The answer, what it used, and its events; None, and nothing is written, when it is there already.

    place: the message's sequence; began: when the model was asked.
    """
    agent, usage = speaker.agent, turn.usage.model_dump()
    content = [clean for block in turn.blocks if (clean := _scrubbed(block, scrubber))]
    message = NewMessage(
        agent.id, place, MessageRole.assistant, content, began, new_id("msg"),
        stop_reason=turn.stop_reason, model=turn.model, usage=usage,
    )  # fmt: skip
    spent = Spending.of(speaker, turn.usage, rate, message.id)
    requests = [_parsed(speaker, call, scrubber) for call in turn.tool_calls]
    finishes = any(isinstance(each, Finish) for each in requests)
    waits = finishes and await has_queued(direct, agent.job_id)
    answers = [
        _answer(message, call, asked, alone=len(requests) == 1, waits=waits)
        for call, asked in zip(turn.tool_calls, requests, strict=True)
        if isinstance(asked, Finish | Fault)
    ]
    told: JsonObject = {
        "sessionId": agent.id, "stepId": agent.step_id, "turn": turn_of(place),
        "stopReason": turn.stop_reason,
        "text": storable(scrubber.text(turn.text)[:SHOWN_TEXT]),
        "tools": [call.name for call in turn.tool_calls],
    }  # fmt: skip
    events, step, result = [(EventType.turn_completed, told)], None, None
    if answers and not answers[0].is_error:
        assert isinstance(requests[0], Finish)
        result = requests[0].model_dump(mode="json")
        if speaker.step:
            step = _closed(speaker.step, requests[0])
            events.append((EventType.step_completed, _end_of(step)))
    said = Record(
        message, events, answers,
        closing=step.model_dump(mode="json", include=CLOSING) if step else {},
        result=result, progress=f"{agent.label}: turn {turn_of(place)}",
    )  # fmt: skip
    if (recorded := await record(direct, speaker, spent, said)) is None:
        return None
    answer = Said(place, message.role, recorded.content, None, turn.stop_reason, usage)
    results = [
        ToolResult(tool_use_id=row.tool_use_id, content=row.result, is_error=row.is_error) for row in answers
    ]
    return Stored(answer, results, Standing.of(recorded.cost_usd, result))


def _parsed(speaker: Speaker, call: Asked, scrubber: Scrubber) -> Request:
    given = storable(scrubber.json(dict(call.input)))
    assert isinstance(given, dict)
    return parse(speaker.agent.kind, call.name, given)


def _answer(message: NewMessage, call: Asked, asked: Finish | Fault, *, alone: bool, waits: bool) -> ToolCall:
    """The answer to what needs no sandbox: a call that cannot be made, and `finish`.

    waits: a message from the user does, that no agent was told yet.
    """
    if isinstance(asked, Fault):
        text = asked.text
    elif not alone:
        text = "Not finished: call `finish` alone, after you have seen the results of the other calls."
    elif waits:
        text = "Not finished: a message from the user has arrived. Deal with it first, then finish."
    else:
        text = "Finished."
    return ToolCall(
        session_id=message.session_id, sequence=message.sequence, tool_use_id=call.id, name=call.name,
        result=text, is_error=text != "Finished.", duration_ms=0,
    )  # fmt: skip


def _closed(begun: RunStep, said: Finish) -> RunStep:
    """The step as its agent ends it; a copy, which is written with the answer."""
    given, step = said.model_dump(), RunStep(**begun.model_dump())
    step.close(
        StepStatus.completed,
        output=said.summary,
        verdict=Verdict(given["verdict"]) if "verdict" in given else None,
        feedback=given.get("feedback"),
        score=given.get("score"),
    )
    return step


def _end_of(step: RunStep) -> JsonObject:
    return {
        "stepId": step.id, "index": step.index, "iteration": step.iteration, "label": step.label,
        "verdict": step.verdict, "score": step.quality_score, "summary": (step.output or "")[:SHOWN_TEXT],
    }  # fmt: skip


def _scrubbed(block: dict[str, JsonValue], scrubber: Scrubber) -> JsonObject | None:
    """The block without secrets and NULs; a signed thought that holds one is left out, not changed."""
    clean = {str(key): value for key, value in block.items()}
    scrubbed = storable(scrubber.json(clean))
    if scrubbed != clean and block.get("type") in ("thinking", "redacted_thinking"):
        return None
    assert isinstance(scrubbed, dict)
    return scrubbed
