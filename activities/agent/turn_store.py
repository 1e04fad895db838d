"""A model's answer, stored with what it used and what its calls mean."""

import asyncio
from datetime import datetime
from typing import Final, NamedTuple

import psycopg
from pydantic import JsonValue
from sqlalchemy.exc import SQLAlchemyError

from activities.agent.conversation import SessionContext
from activities.budgets.spending import build_spending
from activities.errors import UNAVAILABLE, to_application_error
from activities.jobs.snapshots import load_snapshot
from gateways.anthropic.client import ToolCall as CallOfModel
from gateways.anthropic.client import Turn as Answer
from gateways.tools.definitions import InvalidCall, Request, parse
from gateways.tools.finish_schemas import Finish, JudgeFinish
from kit.database import Database
from kit.errors import AppError
from kit.logs import logger
from kit.redaction import Redactor
from kit.storable_text import replace_unstorable
from models import CostRate, Message, ToolCall
from models.agent.session import MessageRole, turn_number
from models.agent.transcript import StoredMessage, StoredResult
from models.agent.turn import TurnRecord, record_turn, save_turn
from models.base import JsonObject
from models.event import EventType

log = logger(__name__)
WRITE_RETRY_SECONDS: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Seconds between the tries to write an answer."""
MAX_EVENT_TEXT_CHARS = 2_000
"""Characters of an answer's text that its event carries."""


class SavedTurn(NamedTuple):
    message: StoredMessage
    results: list[StoredResult]
    """Of the calls that were answered at once."""


async def store_turn(
    database: Database,
    speaker: SessionContext,
    sequence: int,
    began: datetime,
    answer: Answer,
    rate: CostRate | None,
    redactor: Redactor,
    message_id: str,
    *,
    counts_for_quota: bool,
) -> SavedTurn | None:
    """The answer, what it used, and its events; None, and nothing is written, when it is there already.

    sequence: the message's, and message_id its id; began: when the model was asked;
    counts_for_quota: see `build_spending`.
    """
    agent, usage = speaker.agent, answer.usage.model_dump()
    message = Message(
        id=message_id,
        session_id=agent.id,
        sequence=sequence,
        role=MessageRole.assistant,
        content=await asyncio.to_thread(_redact_blocks, answer, redactor),
        stop_reason=answer.stop_reason,
        model=answer.model,
        usage=usage,
        started_at=began,
    )
    spending = build_spending(
        speaker, answer.usage, rate, message.id, sequence, counts_for_quota=counts_for_quota
    )
    message.cost_usd = spending.cost_usd
    requests = [await _parse_call(database, speaker, call, redactor) for call in answer.tool_calls]
    tool_calls = [
        ToolCall(
            session_id=agent.id,
            sequence=sequence,
            tool_use_id=call.id,
            name=call.name,
            result=text,
            is_error=True,
            duration_ms=0,
        )
        for call, request in zip(answer.tool_calls, requests, strict=True)
        if (text := _refusal_reason(request, is_alone=len(requests) == 1)) is not None
    ]
    turn = TurnRecord(
        agent,
        spending,
        message,
        [(EventType.turn_completed, _turn_event_data(speaker, sequence, answer, redactor))],
        progress=f"{agent.label}: turn {turn_number(sequence)}",
        tool_calls=tool_calls,
    )
    if await _write_with_retries(database, turn) is None:
        return None
    stored = StoredMessage(sequence, message.role, message.content, None, answer.stop_reason, usage)
    results = [StoredResult(sequence, each.tool_use_id, each.result, each.is_error) for each in tool_calls]
    return SavedTurn(stored, results)


async def _write_with_retries(database: Database, turn: TurnRecord) -> float | None:
    """Write what is paid for; while the database is away, again and again for about two minutes."""
    for pause in WRITE_RETRY_SECONDS:
        try:
            return await _write_once(database, turn)
        except (SQLAlchemyError, psycopg.Error, AppError) as error:
            if to_application_error(error).type != UNAVAILABLE:
                raise
            log.warning("turn.not_written", session_id=turn.agent.id, again_in_seconds=pause)
        await asyncio.sleep(pause)
    return await _write_once(database, turn)


async def _write_once(database: Database, turn: TurnRecord) -> float | None:
    if turn.is_plain:
        return await save_turn(database.sql, turn)
    async with database.transaction() as session:
        return await record_turn(session, turn)


async def _parse_call(
    database: Database, speaker: SessionContext, call: CallOfModel, redactor: Redactor
) -> Request:
    """What a call asks for; a judge's ranking has every branch that it was to compare, and no other."""
    given = replace_unstorable(redactor.redact_json(dict(call.input)))
    assert isinstance(given, dict)
    request = parse(speaker.agent.kind, call.name, given)
    if not isinstance(request, JudgeFinish):
        return request
    wanted = (await load_snapshot(database, speaker.agent.job_id)).compare_branches
    if sorted(each.branch for each in request.ranking) == sorted(wanted):
        return request
    return InvalidCall(
        f"This call of `finish` was not made. Rank exactly these branches: {', '.join(wanted)}."
    )


def _refusal_reason(request: Request, *, is_alone: bool) -> str | None:
    """Why a call is not made; None for one that is."""
    match request:
        case InvalidCall():
            return request.text
        case Finish() if not is_alone:
            return "Not finished: call `finish` alone, after you have seen the results of the other calls."
    return None


def _turn_event_data(
    speaker: SessionContext, sequence: int, answer: Answer, redactor: Redactor
) -> JsonObject:
    """The answer as its event tells it."""
    return {
        "sessionId": speaker.agent.id,
        "stepId": speaker.agent.step_id,
        "turn": turn_number(sequence),
        "stopReason": answer.stop_reason,
        "text": replace_unstorable(redactor.redact_text(answer.text)[:MAX_EVENT_TEXT_CHARS]),
        "tools": [call.name for call in answer.tool_calls],
    }


def _redact_blocks(answer: Answer, redactor: Redactor) -> list[JsonObject]:
    return [clean for block in answer.blocks if (clean := _redact_block(block, redactor))]


def _redact_block(block: dict[str, JsonValue], redactor: Redactor) -> JsonObject | None:
    """The block without secrets and NULs; a signed thought that holds one is left out, not changed."""
    clean = {str(key): value for key, value in block.items()}
    redacted = replace_unstorable(redactor.redact_json(clean))
    if redacted != clean and block.get("type") in ("thinking", "redacted_thinking"):
        return None
    assert isinstance(redacted, dict)
    return redacted
