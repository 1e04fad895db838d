"""Recurring tasks on the wire."""

from typing import Annotated
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read, Wire
from models.recurrence import Frequency
from models.recurring_task import RecurringTask
from models.view import View, example, unchanged

TASK = "rt_0198f2c8b1c27d3e8f4a5b6c7d8e9f0a"
WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
_TASK: JsonDict = {
    "id": TASK, "_id": TASK, "title": "Daily dependency audit",
    "description": "Check for outdated or vulnerable npm packages",
    "prompt": "Run npm audit and npm outdated.", "frequency": "daily", "targetWorkflowId": WORKFLOW,
    "isActive": True, "timezone": "America/Chicago", "scheduledHour": 8, "scheduledMinute": 0,
    "nextRunAt": "2026-01-16T14:00:00.000Z", "lastRunAt": None, "lastRunId": None, "lastError": None,
    "createdAt": "2026-01-15T10:00:00.000Z", "updatedAt": "2026-01-15T10:00:00.000Z",
}  # fmt: skip


def _known(zone: str) -> str:
    if zone not in available_timezones():
        raise ValueError("this is no IANA time zone: give one like America/New_York or UTC")
    return zone


Title = Annotated[str, Field(min_length=1, max_length=200)]
Prompt = Annotated[str, Field(min_length=1, max_length=200_000)]
Description = Annotated[str, Field(max_length=2000)]
TimeZone = Annotated[str, Field(max_length=100), AfterValidator(_known)]
Hour = Annotated[int, Field(ge=0, le=23)]
Minute = Annotated[int, Field(ge=0, le=59)]


class RecurringTaskRead(Read):
    """A prompt that starts a run again and again; `nextRunAt` is when its schedule really fires next."""

    model_config = example(**_TASK)
    title: str
    description: str | None
    prompt: str
    frequency: Frequency
    target_workflow_id: str
    is_active: bool
    timezone: str
    scheduled_hour: int
    scheduled_minute: int
    next_run_at: Moment | None
    last_run_at: Moment | None
    last_run_id: str | None
    last_error: str | None
    """Why its last firing started no run."""
    created_at: Moment
    updated_at: Moment


class RecurringTaskCreate(Body):
    model_config = example(
        title="Weekly bundle size check", description="Keep the bundle under 200 KB", frequency="weekly",
        prompt="Run the build and measure the bundle.", targetWorkflowId=WORKFLOW, timezone="UTC",
        scheduledHour=6, scheduledMinute=0,
    )  # fmt: skip
    title: Title
    prompt: Prompt
    frequency: Frequency
    target_workflow_id: str
    timezone: TimeZone
    scheduled_hour: Hour
    scheduled_minute: Minute
    description: Description | None = None


class RecurringTaskUpdate(Body):
    """Only the given fields change; `null` clears the description."""

    model_config = example(frequency="biweekly", scheduledHour=9, timezone="Europe/London")
    title: Title = unchanged()
    prompt: Prompt = unchanged()
    frequency: Frequency = unchanged()
    target_workflow_id: str = unchanged()
    timezone: TimeZone = unchanged()
    scheduled_hour: Hour = unchanged()
    scheduled_minute: Minute = unchanged()
    description: Description | None = unchanged()


class RecurringTaskToggle(Body):
    model_config = example(isActive=False)
    is_active: bool


class Preview(Wire):
    """The next times at which the engine will fire the task, in order."""

    model_config = example(times=["2026-01-16T14:00:00.000Z", "2026-01-17T14:00:00.000Z"])
    times: list[Moment]


RECURRING_TASKS = View(RecurringTaskRead, RecurringTask, "Recurring task")
