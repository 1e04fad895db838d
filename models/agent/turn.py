"""A turn of an agent: the model's answer, what it used and cost, and what it means for the session's job.

`record_turn` says what is written, in terms of the rows' own rules.  `save_turn` writes the same as one
statement for the turn that is met most, an answer that asks for tools; `tests/unit/models/agent/test_turn.py`
holds the two against each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import new_id
from kit.sql_pool import SqlPool, jsonb
from models.agent.session import AgentSession, Message, ToolCall
from models.base import JsonObject, now
from models.budgets.budget import lock_budgets
from models.budgets.reservation import OpenCall, Reservation
from models.budgets.usage import Tokens, UsageRecord, add_cost
from models.event import EventType, append_event
from models.jobs.job import Job
from models.jobs.job_lookup import get_job, job_table_name
from models.runs.run_step import RunStep


@dataclass(frozen=True)
class TurnCost:
    """What one request to a model used, and its price in USD."""

    source_id: str
    """What it was spent for: a message, or a request that gave none."""
    sequence: int
    """Of the message that it was spent for, under which it was reserved."""
    tokens: Tokens
    usage: Sequence[UsageRecord]
    """One a unit that was used."""
    cost_usd: Decimal
    budget_ids: Sequence[str]
    """The budgets that pay for it."""


@dataclass(frozen=True)
class TurnRecord:
    """What a request to a model leaves behind; every event also tells what the job has cost so far."""

    agent: AgentSession
    spending: TurnCost
    message: Message | None
    """None when there is nothing to tell the model later, as after an answer that was cut off."""
    events: Sequence[tuple[EventType, JsonObject]] = ()
    progress: str | None = None
    tool_calls: Sequence[ToolCall] = ()
    """The results of calls that are answered at once."""

    @property
    def is_plain(self) -> bool:
        """Whether it is an answer with one event that answers no call, and so can be saved by `save_turn`."""
        is_answer = self.message is not None and self.message.compaction_point is None
        return is_answer and len(self.events) == 1 and not self.tool_calls


async def record_turn(session: AsyncSession, turn: TurnRecord) -> float | None:
    """Write the turn, once; the job's cost in USD so far, or None when it was written before.

    What was spent counts always; of a job that is over nothing else changes and nothing more is told.
    """
    agent, spending = turn.agent, turn.spending
    if turn.message is not None and not await _add_message(session, turn.message):
        return None
    job = await get_job(session, agent.job_id, lock=True)
    if turn.message is None and await _is_charged(session, spending.source_id):
        return None
    await _charge(session, agent, job, spending)
    session.add_all(turn.tool_calls)
    await session.execute(
        delete(Reservation).where(
            col(Reservation.session_id) == agent.id, col(Reservation.sequence) == spending.sequence
        )
    )
    await _close_call(session, spending.source_id)
    if turn.message is not None:
        stored = await session.get_one(AgentSession, agent.id, with_for_update=True)
        stored.count_turn()
    if not job.is_finished:
        if turn.progress is not None:
            job.set_progress(turn.progress)
        for kind, data in turn.events:
            append_event(session, job, kind, {**data, "costUsd": float(job.cost_usd)})
    return float(job.cost_usd)


async def record_cut_turn(
    session: AsyncSession,
    agent: AgentSession,
    spending: TurnCost,
    *,
    is_cut: bool = True,
    unless: str | None = None,
) -> int:
    """Count what an answer has cost that never got whole; how many of those there were in a row.

    is_cut: it was cut off, not given up by ourselves.  What is set aside for it stays its attempt's.
    unless: the message that was to hold the answer; where that was charged, only nobody heard of it.
    """
    job = await get_job(session, agent.job_id, lock=True)
    if unless is not None:
        await _close_call(session, unless)
        if await _is_charged(session, unless):
            return 0
    await _charge(session, agent, job, spending)
    stored = await session.get_one(AgentSession, agent.id, with_for_update=True)
    if is_cut:
        stored.count_cut_turn()
    return stored.cut_turns


async def _charge(session: AsyncSession, agent: AgentSession, job: Job, spending: TurnCost) -> None:
    """Count what was spent wherever it counts.  The caller holds the job's row."""
    for budget in await lock_budgets(session, agent.project_id, spending.budget_ids):
        budget.spend(spending.cost_usd)
    add_cost(job, spending.tokens, spending.cost_usd)
    session.add_all(spending.usage)
    if agent.step_id is not None:
        step = await session.get_one(RunStep, agent.step_id, with_for_update=True)
        add_cost(step, spending.tokens, spending.cost_usd)


async def _add_message(session: AsyncSession, message: Message) -> bool:
    """False when another execution of the same turn has written its answer; waits for it to commit."""
    statement = insert(Message).values(message.model_dump()).on_conflict_do_nothing()
    return (await session.execute(statement.returning(col(Message.id)))).first() is not None


async def _close_call(session: AsyncSession, source_id: str) -> None:
    """It is charged."""
    await session.execute(delete(OpenCall).where(col(OpenCall.source_id) == source_id))


async def _is_charged(session: AsyncSession, source_id: str) -> bool:
    statement = select(col(UsageRecord.id)).where(col(UsageRecord.source_id) == source_id).limit(1)
    return (await session.execute(statement)).first() is not None


_ADD_COST: Final = """
    cost_usd = {row}.cost_usd + %(cost_usd)s,
    input_tokens = {row}.input_tokens + %(input_tokens)s,
    output_tokens = {row}.output_tokens + %(output_tokens)s,
    cache_read_tokens = {row}.cache_read_tokens + %(cache_read_tokens)s,
    cache_write_tokens = {row}.cache_write_tokens + %(cache_write_tokens)s
"""
_SAVE_TURN: Final = """
    WITH saved AS (
        INSERT INTO message (
            id, session_id, sequence, role, content, stop_reason, model, usage, cost_usd, started_at,
            completed_at)
        VALUES (
            %(message_id)s, %(session_id)s, %(sequence)s, %(role)s, %(content)s, %(stop_reason)s, %(model)s,
            %(usage)s, %(cost_usd)s, %(started_at)s, %(completed_at)s)
        ON CONFLICT (session_id, sequence) DO NOTHING
        RETURNING session_id
    ), charged_job AS (
        UPDATE {job} AS job SET {charged_job},
            event_seq = job.event_seq + (job.completed_at IS NULL)::int,
            current_step_progress = CASE WHEN job.completed_at IS NULL THEN %(progress)s
                ELSE job.current_step_progress END,
            last_progress_at = CASE WHEN job.completed_at IS NULL THEN %(now)s ELSE job.last_progress_at END,
            waiting = CASE WHEN job.completed_at IS NULL THEN NULL ELSE job.waiting END
        FROM saved WHERE job.id = %(job_id)s
        RETURNING job.id, job.project_id, job.event_seq, job.cost_usd::float8 AS cost_usd,
            job.completed_at IS NULL AS is_open
    ), charged_step AS (
        UPDATE run_step SET {charged_step} FROM charged_job WHERE run_step.id = %(step_id)s
    ), answered AS (
        UPDATE agent_session SET cut_turns = 0
        FROM charged_job WHERE agent_session.id = %(session_id)s AND agent_session.cut_turns > 0
    ), used AS (
        INSERT INTO usage_record (
            id, project_id, created_at, service, date, quantity, unit, cost_usd, run_id, sandbox_id, chain_id,
            issue_session_id, source_id)
        SELECT used.id, used.project_id, used.created_at, used.service, used.date, used.quantity, used.unit,
            used.cost_usd, used.run_id, used.sandbox_id, used.chain_id, used.issue_session_id, used.source_id
        FROM charged_job, jsonb_to_recordset(%(used)s) AS used (
            id text, project_id text, created_at timestamptz, service text, date date, quantity int,
            unit text, cost_usd numeric, run_id text, sandbox_id text, chain_id text, issue_session_id text,
            source_id text)
    ), locked AS (
        SELECT id FROM budget WHERE id = ANY(%(budget_ids)s) AND EXISTS (SELECT FROM charged_job)
        ORDER BY id FOR UPDATE
    ), spent AS (
        UPDATE budget SET
            spent_usd = CASE WHEN budget.month < %(month)s THEN 0 ELSE budget.spent_usd END + %(cost_usd)s,
            announced_usd = CASE WHEN budget.month < %(month)s THEN NULL ELSE budget.announced_usd END,
            month = CASE WHEN budget.month < %(month)s THEN %(month)s ELSE budget.month END
        FROM locked WHERE budget.id = locked.id
    ), freed AS (
        DELETE FROM reservation USING charged_job
        WHERE session_id = %(session_id)s AND sequence = %(sequence)s
    ), closed AS (
        DELETE FROM open_call USING charged_job WHERE source_id = %(message_id)s
    ), told AS (
        INSERT INTO event (id, project_id, subject_id, seq, type, data, created_at)
        SELECT %(event_id)s, project_id, id, event_seq, %(event_type)s,
            %(event_data)s::jsonb || jsonb_build_object('costUsd', cost_usd), %(now)s
        FROM charged_job WHERE is_open
    )
    SELECT cost_usd FROM charged_job
"""
"""`locked` comes after the job's row and in the order of ids, as everywhere (`lock_budgets`)."""


async def save_turn(sql: SqlPool, turn: TurnRecord) -> float | None:
    """What `record_turn` does, for a plain turn."""
    assert turn.is_plain, "the statement knows no more"
    message, spending, agent, moment = turn.message, turn.spending, turn.agent, now()
    assert message is not None, "a plain turn has one"
    [[kind, data]] = turn.events
    values = {
        "message_id": message.id,
        "session_id": agent.id,
        "sequence": message.sequence,
        "role": message.role.value,
        "content": jsonb(message.content),
        "stop_reason": message.stop_reason,
        "model": message.model,
        "usage": jsonb(message.usage),
        "started_at": message.started_at,
        "completed_at": message.completed_at,
        "job_id": agent.job_id,
        "step_id": agent.step_id,
        "cost_usd": spending.cost_usd,
        "input_tokens": spending.tokens.input,
        "output_tokens": spending.tokens.output,
        "cache_read_tokens": spending.tokens.cache_read,
        "cache_write_tokens": spending.tokens.cache_write,
        "used": jsonb([each.model_dump(mode="json") for each in spending.usage]),
        "budget_ids": list(spending.budget_ids),
        "month": moment.date().replace(day=1),
        "progress": turn.progress,
        "event_id": new_id("evt"),
        "event_type": kind.value,
        "event_data": jsonb(data),
        "now": moment,
    }
    statement = _SAVE_TURN.format(
        job=job_table_name(agent.job_id),
        charged_job=_ADD_COST.format(row="job"),
        charged_step=_ADD_COST.format(row="run_step"),
    )
    found = await sql.fetch(statement, values)
    return float(found[0][0]) if found else None
