"""What holds for every job, of whatever kind: its name in the log, what it waits for, and its active time."""

from datetime import datetime
from typing import Final, Literal

from pydantic import BaseModel
from temporalio import activity

from kit import logs
from kit.database import Database
from kit.ids import is_id
from kit.schemas import format_timestamp
from models.agent.session import AgentSession
from models.base import JsonObject
from models.event import append_event
from models.jobs.job_lookup import JOB_TABLES, get_job

RETRYING: Final = "RETRYING"
"""The code of a wait for another attempt, after an error that nobody foresaw."""


class JobWait(BaseModel):
    """What holds a job up, for operators and clients to see."""

    job_id: str
    code: str
    message: str
    until: datetime | None = None


class JobResult(BaseModel):
    """How a job ended, and why where it did not complete."""

    status: Literal["completed", "failed", "cancelled"]
    code: str | None = None
    message: str | None = None
    run_id: str | None = None
    """The run that a chain failed with."""


class CloseJob(BaseModel):
    job_id: str
    ending: JobResult


class ReadingPlan(BaseModel):
    """What the workflow of a job has to know whose agent reads and changes nothing."""

    time_limit_seconds: int


def bind_job(job_id: str) -> None:
    """Name the job, and the run that it is, in every later log line of this task."""
    logs.bind(job_id=job_id)
    if is_id(job_id, "r"):
        logs.bind(run_id=job_id)


class JobActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn(name="wait")
    async def record_wait(self, wait: JobWait) -> None:
        """Write down what holds the job up; said twice, it is written once."""
        reason: JsonObject = {"code": wait.code, "message": wait.message}
        if wait.until:
            reason["until"] = format_timestamp(wait.until)
        async with self.database.transaction() as session:
            job = await get_job(session, wait.job_id, lock=True)
            if job.set_waiting(reason):
                append_event(session, job, job.WAITING_EVENT, reason)

    async def record_retry(self, wait: JobWait) -> None:
        """Write down what is tried again; `wait.job_id` may also be the id of the workflow that asks for it.

        Nothing is written for workflows that work for no job.
        """
        if is_id(wait.job_id, "ses"):
            async with self.database.transaction() as session:
                wait.job_id = (await session.get_one(AgentSession, wait.job_id)).job_id
        if wait.job_id.split("_", 1)[0] in JOB_TABLES:
            await self.record_wait(wait)


class TimedResult(BaseModel):
    """The result of an activity whose time counts against the time limit of its job."""

    active_seconds: float = 0.0
    """How long the attempt that gave this result was at work, by the monotonic clock of its worker.

    The worker's interceptor sets it.  Attempts that failed or were killed, and what passed between two of
    them, are no part of it, and neither is the time in which the host slept or its clock was set.
    """
