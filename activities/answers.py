"""A model's answer, stored with what it used and what its calls mean."""

from typing import NamedTuple

from pydantic import JsonValue
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.conversations import Said, Speaker, Standing, queued
from activities.spending import count, spending
from gateways.agent import ToolCall as Asked
from gateways.agent import Turn
from gateways.tools import Fault, Finish, ToolRequest, parse
from kit.direct import driver, insert
from kit.scrub import Scrubber, storable
from models import CostRate, RunStep, ToolCall
from models import Message as MessageRow
from models.agent_session import MessageRole
from models.base import JsonObject
from models.event import EventType, following
from models.run_step import StepStatus, Verdict

SHOWN_TEXT = 2_000
"""Characters of an answer's text that its event carries."""


class Stored(NamedTuple):
    standing: Standing
    answer: Said
    answered: set[str]
    """The ids of the calls that were answered at once."""


async def store(
    session: AsyncSession,
    speaker: Speaker,
    message: MessageRow,
    turn: Turn,
    rate: CostRate | None,
    scrubber: Scrubber,
) -> Stored | None:
    """The answer, what it used, and its events; None, and nothing is written, when it is there already.

    message: its session, its place and when it began; the rest of it is filled in.
    """
    agent, number = speaker.agent, message.sequence // 4
    message.role, message.stop_reason, message.model = MessageRole.assistant, turn.stop_reason, turn.model
    message.content = [clean for block in turn.blocks if (clean := _scrubbed(block, scrubber))]
    message.usage = turn.usage.model_dump()
    spent = spending(turn.usage, rate)
    message.cost_usd = spent.total
    connection = await driver(session)
    if not await insert(connection, [message]):
        return None
    requests = [_parsed(speaker, call, scrubber) for call in turn.tool_calls]
    waits = any(isinstance(each, Finish) for each in requests) and await queued(session, agent.run_id)
    answers = [
        _answer(message, call, asked, alone=len(requests) == 1, waits=bool(waits))
        for call, asked in zip(turn.tool_calls, requests, strict=True)
        if not isinstance(asked, ToolRequest)
    ]
    end = requests[0] if answers and not answers[0].is_error else None
    assert end is None or isinstance(end, Finish)
    await insert(connection, answers)
    progress = f"{speaker.step_label}: turn {number}"
    score = end.model_dump().get("score") if end else None
    counted = await count(connection, speaker, spent, message.id, 2 if end else 1, progress, score)
    said: list[tuple[EventType, JsonObject]] = [
        (EventType.turn_completed, {
            "sessionId": agent.id, "stepId": agent.step_id, "turn": number, "stopReason": turn.stop_reason,
            "text": storable(scrubber.text(turn.text)[:SHOWN_TEXT]),
            "tools": [call.name for call in turn.tool_calls], "costUsd": counted.cost_usd,
        }),
    ]  # fmt: skip
    verdict = None
    if end:
        step = await session.get_one(RunStep, agent.step_id)
        said.append((EventType.step_completed, _close(step, end)))
        verdict = step.verdict
    await insert(connection, following(agent.project_id, agent.run_id, counted.event_seq, said))
    standing = Standing(counted.cost_usd, end is not None, verdict)
    answer = Said(message.sequence, message.role, message.content, None, turn.stop_reason, message.usage)
    return Stored(standing, answer, {row.tool_use_id for row in answers})


def _parsed(speaker: Speaker, call: Asked, scrubber: Scrubber) -> ToolRequest | Finish | Fault:
    given = storable(scrubber.json(dict(call.input)))
    assert isinstance(given, dict)
    return parse(speaker.agent.role.kind, call.name, given)


def _answer(message: MessageRow, call: Asked, asked: Finish | Fault, *, alone: bool, waits: bool) -> ToolCall:
    """The answer to what needs no sandbox: a call that cannot be made, and `finish`.

    waits: a message from the user that no agent was told yet.
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


def _close(step: RunStep, said: Finish) -> JsonObject:
    """End the step as its agent said; what its event tells."""
    given = said.model_dump()
    step.close(
        StepStatus.completed,
        output=said.summary,
        verdict=Verdict(given["verdict"]) if "verdict" in given else None,
        feedback=given.get("feedback"),
        score=given.get("score"),
    )
    return {
        "stepId": step.id, "index": step.index, "iteration": step.iteration, "label": step.label,
        "verdict": step.verdict, "score": step.quality_score, "summary": said.summary[:SHOWN_TEXT],
    }  # fmt: skip


def _scrubbed(block: dict[str, JsonValue], scrubber: Scrubber) -> JsonObject | None:
    """The block without secrets and NULs; a signed thought that holds one is left out, not changed."""
    clean = {str(key): value for key, value in block.items()}
    scrubbed = storable(scrubber.json(clean))
    if scrubbed != clean and block.get("type") in ("thinking", "redacted_thinking"):
        return None
    assert isinstance(scrubbed, dict)
    return scrubbed
