"""Recurring tasks: a prompt that starts a run of a workflow at the same wall-clock time again and again."""

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Index
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Timestamp, enum_column, now
from models.event import Eventful
from models.schedules.recurrence import Frequency, Recurrence


class RecurringTask(Eventful, table=True):
    __table_args__ = (
        Index("recurring_task_newest_first", "project_id", "id", postgresql_where="deleted_at IS NULL"),
        Index(
            "recurring_task_of_activity",
            "project_id",
            "is_active",
            "id",
            postgresql_where="deleted_at IS NULL",
        ),
    )
    id: str = Field(default_factory=prefixed("rt"), primary_key=True)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    title: str
    description: str | None = None
    prompt: str
    frequency: Frequency = Field(sa_type=enum_column(Frequency))
    target_workflow_id: str = Field(index=True)
    timezone: str
    scheduled_hour: int
    scheduled_minute: int
    is_active: bool = True
    next_run_at: datetime | None = Field(default=None, sa_type=Timestamp, index=True)
    """When its schedule fires next; None while it is inactive."""
    told_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """The `updated_at` of what Temporal's schedule was last told; another one means that it is outdated."""
    last_run_at: datetime | None = Field(default=None, sa_type=Timestamp)
    last_run_id: str | None = None
    last_error: str | None = None
    """Why its last firing started no run."""

    def firings_after(self, moment: datetime) -> Iterator[datetime]:
        """Every firing later than a moment, in order, in UTC."""
        at = time(self.scheduled_hour, self.scheduled_minute)
        since = self.created_at.astimezone(UTC)
        return Recurrence(self.frequency, ZoneInfo(self.timezone), at, since).firings_after(moment)

    def is_due_at(self, occurrence: datetime) -> bool:
        """Whether the rule, as it is now, fires at this moment.

        Schedules fire at whole minutes; any other moment is an operator's, who fires the schedule by hand.
        """
        if occurrence.second or occurrence.microsecond:
            return True
        return next(self.firings_after(occurrence - timedelta(seconds=1))) == occurrence

    def plan_next_run(self, moment: datetime) -> None:
        """Look at the clock: the next firing is the first one after this moment."""
        self.next_run_at = next(self.firings_after(moment)) if self.is_active else None

    def change(self, **fields: object) -> None:
        """Change what is given; the next firing is found anew, from now."""
        self.sqlmodel_update({**fields, "updated_at": now()})
        self.plan_next_run(now())

    def mark_scheduled(self, as_of: datetime) -> None:
        """Temporal's schedule is what this row was when it changed last at this moment."""
        if self.updated_at == as_of:
            self.told_at = as_of

    def record_firing(self, occurrence: datetime, run_id: str | None, error: str | None = None) -> None:
        """What came of a firing."""
        if run_id is not None:
            self.last_run_at, self.last_run_id = now(), run_id
        self.last_error = error
        self.plan_next_run(max(occurrence, now()))

    def unique_key(self, occurrence: datetime) -> str:
        """Names one firing, so that it starts one run however often it is carried out."""
        return f"{self.id}:{occurrence.astimezone(UTC).isoformat(timespec='minutes')}"
