"""Recurring tasks on the wire."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UtcTimestamp, Wire
from models.json_view import JsonView, example, unset_field
from models.schedules.recurrence import Frequency
from models.schedules.recurring_task import RecurringTask

TASK = "rt_0198f2c8b1c27d3e8f4a5b6c7d8e9f0a"
WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
_TASK: JsonDict = {
    "id": TASK,
    "_id": TASK,
    "title": "Daily dependency audit",
    "description": "Check for outdated or vulnerable npm packages",
    "prompt": "Run npm audit and npm outdated.",
    "frequency": "daily",
    "targetWorkflowId": WORKFLOW,
    "isActive": True,
    "timezone": "America/Chicago",
    "scheduledHour": 8,
    "scheduledMinute": 0,
    "nextRunAt": "2026-01-16T14:00:00.000Z",
    "lastRunAt": None,
    "lastRunId": None,
    "lastError": None,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "updatedAt": "2026-01-15T10:00:00.000Z",
}


def _require_known_zone(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("this is no IANA time zone: give one like America/New_York or UTC")
    return zone


Prompt = Annotated[str, Field(min_length=1, max_length=200_000, pattern=r"\S")]
Description = Annotated[str, Field(max_length=2000)]
TimeZone = Annotated[str, Field(max_length=100), AfterValidator(_require_known_zone)]
Hour = Annotated[int, Field(ge=0, le=23)]
Minute = Annotated[int, Field(ge=0, le=59)]


class RecurringTaskRead(Read):
    """A prompt that starts a run again and again; `nextRunAt` is when its schedule really fires next."""

    model_config = example(**_TASK)
    title: str
    """What people call it."""
    description: str | None
    """What it is for; null if nobody said."""
    prompt: str
    """What its runs are asked to do."""
    frequency: Frequency
    """How often it fires."""
    target_workflow_id: str
    """The workflow that its runs are of."""
    is_active: bool
    """Whether it fires."""
    timezone: str
    """The IANA time zone that its hour and minute are in."""
    scheduled_hour: int
    """The hour at which it fires, 0 to 23, in its time zone."""
    scheduled_minute: int
    """The minute at which it fires, 0 to 59."""
    next_run_at: UtcTimestamp | None
    """When it fires next; null while it is inactive."""
    last_run_at: UtcTimestamp | None
    """When it last started a run; null before it has."""
    last_run_id: str | None
    """The run that it started last; null before it has."""
    last_error: str | None
    """Why its last firing started no run."""
    created_at: UtcTimestamp
    """When it was created; its weekday and its day of the month are those of this moment."""
    updated_at: UtcTimestamp
    """When it was changed last."""


class RecurringTaskCreate(Body):
    """What a client says to create a recurring task, which is active at once."""

    model_config = example(
        title="Weekly bundle size check",
        description="Keep the bundle under 200 KB",
        frequency="weekly",
        prompt="Run the build and measure the bundle.",
        targetWorkflowId=WORKFLOW,
        timezone="UTC",
        scheduledHour=6,
        scheduledMinute=0,
    )
    title: Title
    """What people call it."""
    prompt: Prompt
    """What its runs shall be asked to do, at most 200,000 characters."""
    frequency: Frequency
    """How often it shall fire."""
    target_workflow_id: str
    """The workflow that its runs are of."""
    timezone: TimeZone
    """The IANA time zone of the hour and the minute, for example `America/New_York`."""
    scheduled_hour: Hour
    """The hour at which it fires, 0 to 23, in its time zone."""
    scheduled_minute: Minute
    """The minute at which it fires, 0 to 59."""
    description: Description | None = None
    """What it is for."""


class RecurringTaskUpdate(Body):
    """Only the given fields change; `null` clears the description."""

    model_config = example(frequency="biweekly", scheduledHour=9, timezone="Europe/London")
    title: Title = unset_field()
    """What people call it."""
    prompt: Prompt = unset_field()
    """What its runs shall be asked to do, at most 200,000 characters."""
    frequency: Frequency = unset_field()
    """How often it shall fire."""
    target_workflow_id: str = unset_field()
    """The workflow that its runs are of."""
    timezone: TimeZone = unset_field()
    """The IANA time zone of the hour and the minute, for example `America/New_York`."""
    scheduled_hour: Hour = unset_field()
    """The hour at which it fires, 0 to 23, in its time zone."""
    scheduled_minute: Minute = unset_field()
    """The minute at which it fires, 0 to 59."""
    description: Description | None = unset_field()
    """What it is for."""


class RecurringTaskToggle(Body):
    """Switches a recurring task on or off."""

    model_config = example(isActive=False)
    is_active: bool
    """Whether it shall fire."""


class Preview(Wire):
    """The next times at which Temporal will fire the task, in order."""

    model_config = example(times=["2026-01-16T14:00:00.000Z", "2026-01-17T14:00:00.000Z"])
    times: list[UtcTimestamp]
    """The times, in order; none while the task is inactive."""


RECURRING_TASKS = JsonView(RecurringTaskRead, RecurringTask, "Recurring task")
