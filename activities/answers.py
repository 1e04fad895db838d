"""A model's answer, stored with what it used and what its calls mean."""

from decimal import Decimal

from pydantic import JsonValue
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.conversations import queued
from gateways.agent import Turn
from gateways.tools import Fault, Finish, parse
from kit.scrub import Scrubber, without_nul
from models import AgentSession, Run, RunStep, ToolCall, UsageRecord
from models import Message as MessageRow
from models.agent_session import MessageRole, answer_place
from models.base import JsonObject
from models.event import EventType, append
from models.run_step import StepStatus, Verdict
from models.usage import Tokens, cost, rate_of

SHOWN_TEXT = 2_000
"""Characters of an answer's text that its event carries."""


async def store(
    session: AsyncSession, run: Run, agent: AgentSession, number: int, turn: Turn, scrubber: Scrubber
) -> MessageRow:
    """The answer, what it used, what its calls mean, and its event; the caller holds the run's row."""
    tokens = Tokens(**turn.usage.model_dump())
    used = cost(await rate_of(session, turn.model), tokens)
    message = MessageRow(
        session_id=agent.id,
        sequence=answer_place(number),
        role=MessageRole.assistant,
        content=[clean for block in turn.blocks if (clean := _scrubbed(block, scrubber))],
        stop_reason=turn.stop_reason,
        model=turn.model,
        usage=turn.usage.model_dump(),
        cost_usd=sum((usd for _, usd in used.values()), Decimal(0)),
    )
    session.add(message)
    step = await session.get_one(RunStep, agent.step_id)
    for counted in (run, step):
        counted.cost_usd += message.cost_usd
        counted.input_tokens += tokens.input
        counted.output_tokens += tokens.output
        counted.cache_read_tokens += tokens.cache_read
        counted.cache_write_tokens += tokens.cache_write_5m + tokens.cache_write_1h
    for unit, (quantity, usd) in used.items():
        session.add(
            UsageRecord(
                project_id=run.project_id, service="anthropic", quantity=quantity, unit=unit, cost_usd=usd,
                run_id=run.id, sandbox_id=agent.sandbox_id, chain_id=run.chain_id, source_id=message.id,
            )
        )  # fmt: skip
    run.progress(f"{step.label}: turn {number}")
    data: JsonObject = {
        "sessionId": agent.id, "stepId": step.id, "turn": number, "stopReason": turn.stop_reason,
        "text": scrubber.text(turn.text)[:SHOWN_TEXT], "tools": [call.name for call in turn.tool_calls],
        "costUsd": float(run.cost_usd),
    }  # fmt: skip
    await append(session, run, EventType.turn_completed, data)
    await _answer_calls(session, run, agent, step, message, turn)
    return message


async def _answer_calls(
    session: AsyncSession, run: Run, agent: AgentSession, step: RunStep, message: MessageRow, turn: Turn
) -> None:
    """Answer at once what needs no sandbox: calls that cannot be made, and `finish`."""
    for call in turn.tool_calls:
        asked = parse(agent.role.kind, call.name, call.input)
        answer, is_error = None, True
        if isinstance(asked, Fault):
            answer = asked.text
        elif isinstance(asked, Finish) and len(turn.tool_calls) > 1:
            answer = "Not finished: call `finish` alone, after you have seen the results of the other calls."
        elif isinstance(asked, Finish) and await queued(session, run.id):
            answer = "Not finished: a message from the user has arrived. Deal with it first, then finish."
        elif isinstance(asked, Finish):
            answer, is_error = "Finished.", False
            await _finish(session, run, step, asked)
        if answer is not None:
            session.add(
                ToolCall(
                    session_id=agent.id, sequence=message.sequence, tool_use_id=call.id, name=call.name,
                    result=answer, is_error=is_error, duration_ms=0,
                )
            )  # fmt: skip


async def _finish(session: AsyncSession, run: Run, step: RunStep, said: Finish) -> None:
    given = said.model_dump()
    verdict = Verdict(given["verdict"]) if "verdict" in given else None
    step.close(
        StepStatus.completed,
        output=said.summary,
        verdict=verdict,
        feedback=given.get("feedback"),
        score=given.get("score"),
    )
    run.quality_score = step.quality_score if step.quality_score is not None else run.quality_score
    data: JsonObject = {
        "stepId": step.id, "index": step.index, "iteration": step.iteration, "label": step.label,
        "verdict": verdict, "score": step.quality_score, "summary": said.summary[:SHOWN_TEXT],
    }  # fmt: skip
    await append(session, run, EventType.step_completed, data)


def _scrubbed(block: dict[str, JsonValue], scrubber: Scrubber) -> JsonObject | None:
    """The block without secrets and NULs; a signed thought that holds one is left out, not changed."""
    clean = {str(key): value for key, value in block.items()}
    scrubbed = without_nul(scrubber.json(clean))
    if scrubbed != clean and block.get("type") in ("thinking", "redacted_thinking"):
        return None
    assert isinstance(scrubbed, dict)
    return scrubbed
