"""The result of a tool call, saved as one statement, as every call has one."""

from typing import Final

from kit.ids import new_id
from kit.sql_pool import SqlPool, jsonb
from models.agent.session import ToolCall
from models.base import JsonObject, now
from models.event import EventType
from models.jobs.job_lookup import job_table_name

_SAVE_TOOL_RESULT: Final = """
    WITH saved AS (
        INSERT INTO tool_call (
            id, session_id, sequence, tool_use_id, name, result, is_error, duration_ms, created_at)
        VALUES (
            %(id)s, %(session_id)s, %(sequence)s, %(tool_use_id)s, %(name)s, %(result)s, %(is_error)s,
            %(duration_ms)s, %(created_at)s)
        ON CONFLICT (session_id, sequence, tool_use_id) DO NOTHING
        RETURNING name
    ), progressed AS (
        UPDATE {job} AS job SET
            event_seq = job.event_seq + 1,
            current_step_progress = concat_ws(': ', job.current_step_label, saved.name),
            last_progress_at = %(now)s,
            waiting = NULL
        FROM saved WHERE job.id = %(job_id)s AND job.completed_at IS NULL
        RETURNING job.project_id, job.id, job.event_seq
    )
    INSERT INTO event (id, project_id, subject_id, seq, type, data, created_at)
    SELECT %(event_id)s, project_id, id, event_seq, %(event_type)s, %(event_data)s, %(now)s FROM progressed
"""


async def save_tool_result(sql: SqlPool, job_id: str, call: ToolCall, data: JsonObject) -> None:
    """The result, the job's progress and the event `tool.completed` with `data`, once.

    Of a job that is over nothing changes any more, and nothing is told; the result is kept.
    """
    values = {
        **call.model_dump(),
        "job_id": job_id,
        "event_id": new_id("evt"),
        "event_type": EventType.tool_completed.value,
        "event_data": jsonb(data),
        "now": now(),
    }
    await sql.fetch(_SAVE_TOOL_RESULT.format(job=job_table_name(job_id)), values)
