"""When a recurring task fires: switched on and off, looked ahead, and fired by hand."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from activities.schedules.recurring_tasks import run_of_task
from activities.schedules.temporal_schedule import firings
from api.after_commit import Session, Workflows
from api.http.responses import One
from api.http.router import Router
from api.http.rows import Rows, found, rows
from api.routes.schedules.recurring_tasks import READ, WRITE, Task, Tasks
from api.routes.schedules.schedule_sync import keep
from api.state import unit_of
from api.workflow_start import hand_over
from kit.schemas import Wire
from models.base import now
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead
from models.schedules.recurring_task import RecurringTask
from models.schedules.recurring_task_schemas import (
    RECURRING_TASKS,
    Preview,
    RecurringTaskRead,
    RecurringTaskToggle,
)

router = Router("/recurring-tasks/{id}", "Recurring Tasks")
Runs = Annotated[Rows[Run, RunRead], rows(RUNS)]
LONGEST_VIEW = timedelta(days=3 * 366)


class Ahead(Wire):
    """How far to look ahead."""

    count: Annotated[int, Field(ge=1, le=24)] = 10
    """How many times to tell at most."""


@router.put("/toggle", WRITE)
async def toggle_recurring_task(
    id: str, body: RecurringTaskToggle, tasks: Tasks, workflows: Workflows
) -> One[RecurringTaskRead]:
    """Activate or deactivate a recurring task; what it missed meanwhile is not caught up."""
    task = await tasks.get(id, lock=True)
    task.change(is_active=body.is_active)
    keep(task, workflows)
    return tasks.one(task.id)


@router.get("/preview", READ)
async def preview_recurring_task(
    task: Annotated[RecurringTask, found(RECURRING_TASKS)], ahead: Annotated[Ahead, Query()], request: Request
) -> Preview:
    """Tell the next times at which Temporal will fire the task; none while it is inactive."""
    if not task.is_active:
        return Preview(times=[])  # Temporal still answers for a schedule that was removed
    until = now() + LONGEST_VIEW
    times = await unit_of(request).api.engine.do(lambda client: firings(client, task.id, until))
    return Preview(times=times[: ahead.count])


@router.post("/trigger", WRITE, creates=True)
async def trigger_recurring_task(
    task: Task, runs: Runs, session: Session, workflows: Workflows
) -> One[RunRead]:
    """Fire a recurring task once, now, whether it is active or not; its schedule stays as it is."""
    run = await run_of_task(session, task, runs.unit.api.settings, now(), None)
    hand_over(run, workflows)
    return runs.one(run.id)
