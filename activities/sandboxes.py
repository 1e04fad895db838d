"""A job's sandbox: made once, filled with the repository and the project's files, kept safe, and killed."""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.outside import Outside, outside
from activities.sandbox_ends import close_sandbox
from activities.snapshots import snapshot_of
from activities.telling import PROGRESSED, TELL, told
from kit.database import Database
from kit.direct import jsonb
from kit.shielding import finish_first
from models import Sandbox
from models.blueprint import SandboxConfig
from models.event import EventType, append
from models.job import Job
from models.jobs import job_of, table_of
from models.sandbox import SandboxEventType, SandboxStatus, said

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
"""The job's row is held first, as everywhere."""
_TO_RELEASE: Final = """
    SELECT project_id, EXISTS (
        SELECT FROM sandbox WHERE job_id = job.id AND status IN ('creating', 'running', 'paused'))
    FROM {job} AS job WHERE id = %(job)s
"""


class Provision(BaseModel):
    job_id: str
    lost: str | None = None
    """The sandbox that is gone and has to be replaced."""


class SandboxRef(BaseModel):
    job_id: str
    sandbox_id: str


class SandboxActivities:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def provision(self, ask: Provision) -> str:
        """The job's sandbox; returns our id of it.  A cancel comes before or after it, so that none is left.

        Killed after it was created and before it was recorded, the second execution finds it by its marker.
        """
        return await finish_first(self._provision(ask))

    async def _provision(self, ask: Provision) -> str:
        snapshot = await snapshot_of(self.database.direct, ask.job_id)
        async with self.database.transaction() as session:
            job = await job_of(session, ask.job_id, lock=True)
            sandbox = await _current(session, job, snapshot.config.sandbox, ask.lost)
        credentials = await self.outside.credentials(job.project_id)
        if sandbox.status is SandboxStatus.running:
            return sandbox.id
        with outside():
            handle = await self.outside.sandboxes(credentials).ensure(
                {"job": job.id, "sandbox": sandbox.id},
                template=sandbox.template_id,
                timeout_seconds=sandbox.timeout_ms // 1000,
            )
        line = said(sandbox.id, SandboxEventType.sandbox_create, f"{handle.id} runs.")
        values = {
            "job": job.id, "sandbox": sandbox.id, "provider": handle.id, "progress": "The sandbox runs.",
            "line": jsonb(line.model_dump(mode="json")),
            **told(EventType.sandbox_running, {"sandboxId": sandbox.id}),
        }  # fmt: skip
        statement = _RUNS.format(job=table_of(job.id), progressed=PROGRESSED, tell=TELL)
        await self.database.direct.fetch(statement, values)
        return sandbox.id

    @activity.defn
    async def release(self, job_id: str) -> None:
        """Kill every sandbox of the job; one that is gone already is fine, so repeating is harmless."""
        statement = _TO_RELEASE.format(job=table_of(job_id))
        [[project_id, has_live]] = await self.database.direct.fetch(statement, {"job": job_id})
        if not has_live:
            return
        credentials = await self.outside.credentials(project_id)
        with outside():
            await self.outside.sandboxes(credentials).kill_all({"job": job_id})
        async with self.database.transaction() as session:
            job = await job_of(session, job_id, lock=True)
            for sandbox in await _live(session, job_id):
                close_sandbox(session, job, sandbox)


async def _live(session: AsyncSession, job_id: str) -> list[Sandbox]:
    statement = select(Sandbox).where(
        col(Sandbox.job_id) == job_id, col(Sandbox.status).not_in([SandboxStatus.killed, SandboxStatus.error])
    )
    return list((await session.execute(statement)).scalars())


async def _current(session: AsyncSession, job: Job, wanted: SandboxConfig, lost: str | None) -> Sandbox:
    """The job's live sandbox, or a new row for one; the lost one is marked first."""
    for sandbox in await _live(session, job.id):
        if sandbox.id != lost:
            return sandbox
        close_sandbox(session, job, sandbox, SandboxStatus.error, "The sandbox was lost.")
    sandbox = Sandbox(
        project_id=job.project_id, job_id=job.id, name=job.name, template_id=wanted.template_id,
        memory_mb=wanted.memory_mb, cpu_count=wanted.cpu_count, timeout_ms=wanted.timeout_ms,
    )  # fmt: skip
    session.add(sandbox)
    append(session, job, EventType.sandbox_creating, {"sandboxId": sandbox.id})
    return sandbox
