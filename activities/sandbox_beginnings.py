"""The beginning of a job's sandbox, on its row, in its log and in its job's, as statements (ADR 7)."""

from typing import Final, NamedTuple

from activities.telling import PROGRESSED, TELL, told
from kit.direct import Direct, jsonb
from models import Sandbox
from models.blueprint import SandboxConfig
from models.event import EventType
from models.jobs import table_of
from models.sandbox import LIVE, SandboxEventType, said

_FIND: Final = """
    SELECT job.project_id, job.name, live.id, live.status, live.template_id, live.timeout_ms
    FROM {job} AS job LEFT JOIN sandbox AS live ON live.job_id = job.id AND live.{live}
    WHERE job.id = %(job)s
"""
_WANT: Final = """
    WITH held AS (SELECT id FROM {job} WHERE id = %(job)s FOR UPDATE), made AS (
        INSERT INTO sandbox
        SELECT given.* FROM held, jsonb_populate_record(NULL::sandbox, %(sandbox)s) AS given
        ON CONFLICT (job_id) WHERE {live} DO NOTHING RETURNING id
    ), changed AS (
        UPDATE {job} AS job SET event_seq = event_seq + 1
        FROM made WHERE job.id = %(job)s RETURNING project_id, job.id, event_seq
    ) {tell} RETURNING id
"""
"""The job's row is held first, as everywhere."""
_RUNS: Final = """
    WITH held AS (SELECT id FROM {job} WHERE id = %(job)s FOR UPDATE), ran AS (
        UPDATE sandbox SET status = 'running', provider_id = %(provider)s,
            started_at = coalesce(started_at, %(now)s)
        FROM held WHERE sandbox.id = %(sandbox)s AND status = 'creating' RETURNING sandbox.id
    ), logged AS (
        INSERT INTO sandbox_event
        SELECT line.* FROM ran, jsonb_populate_record(NULL::sandbox_event, %(line)s) AS line
    ), changed AS (
        UPDATE {job} AS job SET event_seq = event_seq + 1, {progressed}
        FROM ran WHERE job.id = %(job)s RETURNING project_id, job.id, event_seq
    ) {tell}
"""


class Wanted(NamedTuple):
    """The sandbox that a job works in; it runs, or is to be created."""

    project_id: str
    id: str
    is_running: bool
    template_id: str
    timeout_ms: int


async def want_sandbox(direct: Direct, job_id: str, config: SandboxConfig) -> Wanted:
    """The job's live sandbox, or a new row for one: at whose unique index a second execution finds it."""
    while True:
        find = _FIND.format(job=table_of(job_id), live=LIVE)
        [[project_id, name, id, status, template_id, timeout_ms]] = await direct.fetch(find, {"job": job_id})  # noqa: A001
        if id is not None:
            return Wanted(project_id, id, status == "running", template_id, timeout_ms)
        row = Sandbox(
            project_id=project_id, job_id=job_id, name=name, template_id=config.template_id,
            memory_mb=config.memory_mb, cpu_count=config.cpu_count, timeout_ms=config.timeout_ms,
        )  # fmt: skip
        values = {
            "job": job_id, "sandbox": jsonb(row.model_dump(mode="json")),
            **told(EventType.sandbox_creating, {"sandboxId": row.id}),
        }  # fmt: skip
        if await direct.fetch(_WANT.format(job=table_of(job_id), live=LIVE, tell=TELL), values):
            return Wanted(project_id, row.id, False, row.template_id, row.timeout_ms)


async def sandbox_runs(direct: Direct, job_id: str, sandbox_id: str, provider_id: str) -> None:
    """Write down that it runs, once, and what the provider calls it."""
    line = said(sandbox_id, SandboxEventType.sandbox_create, f"{provider_id} runs.")
    values = {
        "job": job_id, "sandbox": sandbox_id, "provider": provider_id, "progress": "The sandbox runs.",
        "line": jsonb(line.model_dump(mode="json")),
        **told(EventType.sandbox_running, {"sandboxId": sandbox_id}),
    }  # fmt: skip
    await direct.fetch(_RUNS.format(job=table_of(job_id), progressed=PROGRESSED, tell=TELL), values)
