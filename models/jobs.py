"""Which table holds a job, by the prefix of its id."""

from typing import Final

from sqlmodel.ext.asyncio.session import AsyncSession

from models.answering_session import AnsweringSession
from models.issue_session import IssueSession
from models.job import Job
from models.merge_job import MergeJob
from models.run import Run

KINDS: Final[dict[str, type[Job]]] = {"r": Run, "is": IssueSession, "as": AnsweringSession, "mj": MergeJob}


def kind_of(job_id: str) -> type[Job]:
    return KINDS[job_id.split("_", 1)[0]]


def table_of(job_id: str) -> str:
    """The name of its table, for statements that go past the ORM; one of our own, never a client's word."""
    return str(kind_of(job_id).__tablename__)


async def job_of(session: AsyncSession, job_id: str, *, lock: bool = False) -> Job:
    """The job's row; `lock` holds it until the commit, as whoever appends to its log must."""
    return await session.get_one(kind_of(job_id), job_id, with_for_update=lock or None)
