"""A model's answer, what it used and what it means, recorded as one statement: all of it or nothing, once.

Rows go in as JSON by their columns' names; it is the most frequent write of all, and this is a third of the
time that the same takes through the ORM.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from activities.conversations import Speaker
from activities.spending import Spending
from kit.direct import Direct, jsonb
from kit.ids import new_id
from models import ToolCall
from models.agent_session import MessageRole
from models.base import JsonObject, now
from models.event import EventType
from models.jobs import table_of

_STORED: Final = """
    INSERT INTO message SELECT * FROM jsonb_populate_record(NULL::message, %(message)s)
    ON CONFLICT DO NOTHING RETURNING content
"""
_UNSPENT: Final = (
    "SELECT '[]'::jsonb AS content WHERE NOT EXISTS (SELECT FROM usage_record WHERE source_id = %(source)s)"
)
"""For a turn that leaves no message behind: its price is its mark."""
_COUNTED: Final = """
    cost_usd = cost_usd + %(cost)s, input_tokens = input_tokens + %(input)s,
    output_tokens = output_tokens + %(output)s, cache_read_tokens = cache_read_tokens + %(cache_read)s,
    cache_write_tokens = cache_write_tokens + %(cache_write)s
"""
_RECORD: Final = """
    WITH stored AS ({stored}), counted AS (
        UPDATE {job} SET {counted}, event_seq = event_seq + jsonb_array_length(%(events)s),
            current_step_progress = coalesce(%(progress)s, current_step_progress),
            last_progress_at = %(now)s, waiting = NULL
        WHERE id = %(job)s AND EXISTS (SELECT FROM stored)
        RETURNING id, project_id, event_seq, cost_usd::float8 AS cost_usd
    ), step AS (
        UPDATE run_step SET {counted},
            (status, completed_at, output, verdict, feedback, quality_score) = (
                SELECT status, completed_at, output, verdict, feedback, quality_score
                FROM jsonb_populate_record(
                    run_step, CASE WHEN run_step.status = 'running' THEN %(closing)s ELSE '{{}}' END))
        WHERE id = %(step)s AND EXISTS (SELECT FROM stored)
    ), finished AS (
        UPDATE agent_session SET result = %(result)s
        WHERE id = %(session)s AND %(result)s::jsonb IS NOT NULL AND EXISTS (SELECT FROM stored)
    ), used AS (
        INSERT INTO usage_record
        SELECT used.* FROM jsonb_populate_recordset(NULL::usage_record, %(used)s) AS used
        WHERE EXISTS (SELECT FROM stored)
    ), answered AS (
        INSERT INTO tool_call
        SELECT given.* FROM jsonb_populate_recordset(NULL::tool_call, %(answers)s) AS given
        WHERE EXISTS (SELECT FROM stored)
    ), told AS (
        INSERT INTO event (id, project_id, subject_id, seq, type, data, created_at)
        SELECT said.event ->> 'id', project_id, counted.id,
            event_seq - jsonb_array_length(%(events)s) + place, said.event ->> 'type',
            said.event -> 'data' || jsonb_build_object('costUsd', cost_usd), %(now)s
        FROM counted, jsonb_array_elements(%(events)s) WITH ORDINALITY AS said (event, place)
    )
    SELECT cost_usd, content FROM counted, stored
"""


class NewMessage(NamedTuple):
    """A message's row, but for its price; the columns' meaning is told by `models.Message`."""

    session_id: str
    sequence: int
    role: MessageRole
    content: list[JsonObject]
    started_at: datetime
    id: str
    compaction_point: int | None = None
    stop_reason: str | None = None
    model: str | None = None
    usage: dict[str, int] | None = None


@dataclass(frozen=True)
class Record:
    """What a turn leaves behind besides its price; every event also tells what the job has cost so far."""

    message: NewMessage | None
    events: Sequence[tuple[EventType, JsonObject]]
    answers: Sequence[ToolCall] = ()
    """To the calls that need no sandbox."""
    closing: JsonObject = field(default_factory=dict)
    """Columns of the step that change because it ends."""
    result: JsonObject | None = None
    """What the agent finished with."""
    progress: str | None = None


class Recorded(NamedTuple):
    cost_usd: float
    """Of the whole job so far."""
    content: list[JsonObject]
    """Of the message, as it will be read: the database has an order of its own for the keys of JSON."""


async def record(direct: Direct, speaker: Speaker, spent: Spending, said: Record) -> Recorded | None:
    """None, and nothing is written, if it was recorded before.

    The job's row is held while its events are added, so they have no gaps.
    """
    agent, tokens, moment = speaker.agent, spent.tokens, now()
    row = said.message and {**said.message._asdict(), "cost_usd": str(spent.total), "completed_at": moment}
    events = [{"id": new_id("evt"), "type": type, "data": data} for type, data in said.events]  # noqa: A001
    values = {
        "message": jsonb(row),
        "source": spent.source_id, "job": agent.job_id, "step": agent.step_id, "session": agent.id,
        "cost": spent.total,
        "input": tokens.input, "output": tokens.output, "cache_read": tokens.cache_read,
        "cache_write": tokens.cache_write_5m + tokens.cache_write_1h,
        "used": jsonb(spent.rows),
        "answers": jsonb([row.model_dump(mode="json") for row in said.answers]),
        "closing": jsonb(said.closing), "events": jsonb(events), "progress": said.progress,
        "result": None if said.result is None else jsonb(said.result), "now": moment,
    }  # fmt: skip
    stored = _STORED if said.message else _UNSPENT
    statement = _RECORD.format(stored=stored, counted=_COUNTED, job=table_of(agent.job_id))
    found = await direct.fetch(statement, values)
    return Recorded(*found[0]) if found else None
