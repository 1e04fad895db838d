"""A job's sandbox: made once, filled with the repository and the project's files, kept safe, and killed."""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.outside import Outside, outside
from activities.sandbox_beginnings import sandbox_runs, want_sandbox
from activities.sandbox_ends import close_sandbox
from activities.snapshots import snapshot_of
from kit.database import Database
from kit.shielding import finish_first
from models import Sandbox
from models.jobs import job_of, table_of
from models.sandbox import LIVE, SandboxStatus

_TO_RELEASE: Final = """
    SELECT project_id, EXISTS (
        SELECT FROM sandbox WHERE job_id = job.id AND {live})
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
        if ask.lost:
            await self._lose(ask.job_id, ask.lost)
        wanted = await want_sandbox(self.database.direct, ask.job_id, snapshot.config.sandbox)
        if wanted.is_running:
            return wanted.id
        credentials = await self.outside.credentials(wanted.project_id)
        with outside():
            handle = await self.outside.sandboxes(credentials).ensure(
                {"job": ask.job_id, "sandbox": wanted.id},
                template=wanted.template_id,
                timeout_seconds=wanted.timeout_ms // 1000,
            )
        await sandbox_runs(self.database.direct, ask.job_id, wanted.id, handle.id)
        return wanted.id

    async def _lose(self, job_id: str, sandbox_id: str) -> None:
        """Mark the sandbox as lost, once, so that there is room for another."""
        async with self.database.transaction() as session:
            job = await job_of(session, job_id, lock=True)
            sandbox = await session.get_one(Sandbox, sandbox_id)
            close_sandbox(session, job, sandbox, SandboxStatus.error, "The sandbox was lost.")

    @activity.defn
    async def release(self, job_id: str) -> None:
        """Kill every sandbox of the job; one that is gone already is fine, so repeating is harmless."""
        statement = _TO_RELEASE.format(job=table_of(job_id), live=LIVE)
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
