"""A model's answer, stored with what it used and what its calls mean."""

from decimal import Decimal

from pydantic import JsonValue
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.conversations import Held
from gateways.agent import ToolCall as Asked
from gateways.agent import Turn
from gateways.tools import Fault, Finish, ToolRequest, parse
from kit.scrub import Scrubber, storable
from models import CostRate, ToolCall, UsageRecord
from models import Message as MessageRow
from models.agent_session import MessageRole, answer_place
from models.base import JsonObject
from models.event import EventType, append
from models.run_step import StepStatus, Verdict
from models.usage import Tokens, cost

SHOWN_TEXT = 2_000
"""Characters of an answer's text that its event carries."""


def store(
    session: AsyncSession, held: Held, number: int, turn: Turn, rate: CostRate | None, scrubber: Scrubber
) -> tuple[MessageRow, set[str]]:
    """The answer, what it used, and its event; also the ids of the calls that were answered at once."""
    message = MessageRow(
        session_id=held.agent.id,
        sequence=answer_place(number),
        role=MessageRole.assistant,
        content=[clean for block in turn.blocks if (clean := _scrubbed(block, scrubber))],
        stop_reason=turn.stop_reason,
        model=turn.model,
        usage=turn.usage.model_dump(),
    )
    message.cost_usd = spend(session, held, turn, rate, message.id)
    session.add(message)
    held.run.progress(f"{held.step.label}: turn {number}")
    text = storable(scrubber.text(turn.text)[:SHOWN_TEXT])
    data: JsonObject = {
        "sessionId": held.agent.id, "stepId": held.step.id, "turn": number, "stopReason": turn.stop_reason,
        "text": text, "tools": [call.name for call in turn.tool_calls],
        "costUsd": float(held.run.cost_usd),
    }  # fmt: skip
    append(session, held.run, EventType.turn_completed, data)
    answered = {call.id for call in turn.tool_calls if _answer(session, held, message, turn, call, scrubber)}
    return message, answered


def spend(session: AsyncSession, held: Held, turn: Turn, rate: CostRate | None, source_id: str) -> Decimal:
    """Count what a turn used towards step, run and project; its cost in USD."""
    tokens = Tokens(**turn.usage.model_dump())
    used = cost(rate, tokens)
    total = sum((usd for _, usd in used.values()), Decimal(0))
    for counted in (held.run, held.step):
        counted.cost_usd += total
        counted.input_tokens += tokens.input
        counted.output_tokens += tokens.output
        counted.cache_read_tokens += tokens.cache_read
        counted.cache_write_tokens += tokens.cache_write_5m + tokens.cache_write_1h
    session.add_all(
        UsageRecord(
            project_id=held.run.project_id, service="anthropic", quantity=quantity, unit=unit, cost_usd=usd,
            run_id=held.run.id, sandbox_id=held.agent.sandbox_id, chain_id=held.run.chain_id,
            source_id=source_id,
        )
        for unit, (quantity, usd) in used.items()
    )  # fmt: skip
    return total


def _answer(
    session: AsyncSession, held: Held, message: MessageRow, turn: Turn, call: Asked, scrubber: Scrubber
) -> bool:
    """Answer at once what needs no sandbox: a call that cannot be made, and `finish`; whether it was one."""
    given = storable(scrubber.json(dict(call.input)))
    assert isinstance(given, dict)
    asked = parse(held.agent.role.kind, call.name, given)
    if isinstance(asked, ToolRequest):
        return False
    is_error = True
    if isinstance(asked, Fault):
        answer = asked.text
    elif len(turn.tool_calls) > 1:
        answer = "Not finished: call `finish` alone, after you have seen the results of the other calls."
    elif held.has_queued:
        answer = "Not finished: a message from the user has arrived. Deal with it first, then finish."
    else:
        answer, is_error = "Finished.", False
        _finish(session, held, asked)
    session.add(
        ToolCall(
            session_id=held.agent.id, sequence=message.sequence, tool_use_id=call.id, name=call.name,
            result=answer, is_error=is_error, duration_ms=0,
        )
    )  # fmt: skip
    return True


def _finish(session: AsyncSession, held: Held, said: Finish) -> None:
    run, step, given = held.run, held.step, said.model_dump()
    step.close(
        StepStatus.completed,
        output=said.summary,
        verdict=Verdict(given["verdict"]) if "verdict" in given else None,
        feedback=given.get("feedback"),
        score=given.get("score"),
    )
    run.quality_score = step.quality_score if step.quality_score is not None else run.quality_score
    data: JsonObject = {
        "stepId": step.id, "index": step.index, "iteration": step.iteration, "label": step.label,
        "verdict": step.verdict, "score": step.quality_score, "summary": said.summary[:SHOWN_TEXT],
    }  # fmt: skip
    append(session, run, EventType.step_completed, data)


def _scrubbed(block: dict[str, JsonValue], scrubber: Scrubber) -> JsonObject | None:
    """The block without secrets and NULs; a signed thought that holds one is left out, not changed."""
    clean = {str(key): value for key, value in block.items()}
    scrubbed = storable(scrubber.json(clean))
    if scrubbed != clean and block.get("type") in ("thinking", "redacted_thinking"):
        return None
    assert isinstance(scrubbed, dict)
    return scrubbed
