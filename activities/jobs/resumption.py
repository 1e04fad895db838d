"""Resumption: what a worker left in the middle, told in the job's events once another attempt has ended well.

An activity whose work is done already says so with `note_already_done`; the interceptor of the worker does
the rest.
"""

from contextvars import ContextVar
from typing import Final

from pydantic import BaseModel

from kit.database import Database
from models.base import JsonObject
from models.event import EventType, append_event, has_event
from models.jobs.job_lookup import get_job

_ALREADY_DONE: Final[ContextVar[list[str] | None]] = ContextVar("found_done", default=None)


class Resumption(BaseModel):
    """One activity that another attempt finished."""

    job_id: str
    activity: str
    activity_id: str
    """Of Temporal, with the id of the workflow's execution: the same for all attempts."""
    attempt: int
    reason: str
    """What became of the attempt before."""
    found: list[str]
    """What of it was found done, so that it was not repeated."""

    @property
    def data(self) -> JsonObject:
        return {
            **self.model_dump(include={"activity", "attempt", "reason", "found"}),
            "activityId": self.activity_id,
            "repeated": not self.found,
        }


def collect_already_done() -> list[str]:
    """A list that fills with what this task's activity finds done from now on."""
    found: list[str] = []
    _ALREADY_DONE.set(found)
    return found


def note_already_done(words: str) -> None:
    """Note, in a sentence for the job's events, what an attempt before has done; heard if that was lost."""
    found = _ALREADY_DONE.get()
    if found is not None:
        found.append(words)


async def append_resumption(database: Database, resumption: Resumption) -> None:
    """Append `job.resumed`, once for each activity, unless the job is over.

    Killed after the activity's own commit and before this one, the next attempt finds the work done and tells
    that; killed after it, the next attempt finds it told.
    """
    async with database.transaction() as session:
        job = await get_job(session, resumption.job_id, lock=True)
        same: JsonObject = {"activityId": resumption.activity_id}
        if job.is_finished or await has_event(session, job.id, EventType.job_resumed, same):
            return
        append_event(session, job, EventType.job_resumed, resumption.data)
