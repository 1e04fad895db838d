"""A job of whatever kind, by its id."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from models.jobs.job import Job
from models.jobs.job_registry import JOB_KINDS

JOB_TABLES: Final[dict[str, type[Job]]] = {
    prefix: kind.table for prefix, kind in JOB_KINDS.items() if issubclass(kind.table, Job)
}
"""By the prefix of the job's id; chains have no sandbox, and are no jobs."""


def job_class(job_id: str) -> type[Job]:
    return JOB_TABLES[job_id.split("_", 1)[0]]


def job_table_name(job_id: str) -> str:
    """The name of its table, for statements that go past the ORM; one of our own, never a client's word."""
    return str(job_class(job_id).__tablename__)


async def get_job(session: AsyncSession, job_id: str, *, lock: bool = False) -> Job:
    """The job's row; `lock` holds it until the commit, as whoever appends to its log must."""
    return await session.get_one(job_class(job_id), job_id, with_for_update=lock or None)
