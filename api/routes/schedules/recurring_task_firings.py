"""When a recurring task fires: switched on and off, looked ahead, and fired by hand."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request
from pydantic import Field

from activities.schedules.recurring_tasks import create_task_run
from activities.schedules.temporal_schedule import list_firings
from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, path_row, project_rows
from api.routes.schedules.recurring_tasks import READ, WRITE, Task, Tasks
from api.routes.schedules.schedule_sync import sync_schedule
from api.state import unit_of_work_of
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
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
MAX_PREVIEW = timedelta(days=3 * 366)


class PreviewQuery(Wire):
    """How far to look ahead."""

    count: Annotated[int, Field(ge=1, le=24)] = 10
    """How many times to tell at most."""


@router.put("/toggle", WRITE)
async def toggle_recurring_task(
    id: str, body: RecurringTaskToggle, tasks: Tasks, workflows: AfterCommitDep
) -> Item[RecurringTaskRead]:
    """Activate or deactivate a recurring task; what it missed meanwhile is not caught up."""
    task = await tasks.get(id, lock=True)
    task.change(is_active=body.is_active)
    sync_schedule(task, workflows)
    return tasks.item(task.id)


@router.get("/preview", READ)
async def preview_recurring_task(
    task: Annotated[RecurringTask, path_row(RECURRING_TASKS)],
    ahead: Annotated[PreviewQuery, Query()],
    request: Request,
) -> Preview:
    """Tell the next times at which Temporal will fire the task; none while it is inactive."""
    if not task.is_active:
        return Preview(times=[])  # Temporal still answers for a schedule that was removed
    until = now() + MAX_PREVIEW
    times = await unit_of_work_of(request).api.temporal.call(
        lambda client: list_firings(client, task.id, until)
    )
    return Preview(times=times[: ahead.count])


@router.post("/trigger", WRITE, creates=True)
async def trigger_recurring_task(
    task: Task, runs: Runs, session: DbSession, workflows: AfterCommitDep
) -> Item[RunRead]:
    """Fire a recurring task once, now, whether it is active or not; its schedule stays as it is."""
    run = await create_task_run(session, task, runs.unit.api.settings, now(), None)
    start_after_commit(run, workflows)
    return runs.item(run.id)
