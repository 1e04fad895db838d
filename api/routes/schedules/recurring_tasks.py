"""Recurring tasks: a prompt that starts a run at the same wall-clock time again and again."""

from typing import Annotated

from fastapi import Query

from api.after_commit import AfterCommitDep, DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, path_row, project_rows
from api.routes.schedules.schedule_sync import sync_schedule
from kit.errors import Conflict
from models.base import now
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOWS, WorkflowRead
from models.projects.project import Project
from models.schedules.recurring_task import RecurringTask
from models.schedules.recurring_task_schemas import (
    RECURRING_TASKS,
    RecurringTaskCreate,
    RecurringTaskRead,
    RecurringTaskUpdate,
)

router = Router("/recurring-tasks", "Recurring Tasks")
READ, WRITE = requires("recurring-tasks:read"), requires("recurring-tasks:write")
Tasks = Annotated[ProjectRows[RecurringTask, RecurringTaskRead], project_rows(RECURRING_TASKS)]
Task = Annotated[RecurringTask, path_row(RECURRING_TASKS, lock=True)]
Blueprints = Annotated[ProjectRows[Blueprint, WorkflowRead], project_rows(WORKFLOWS)]


class TaskList(PageQuery):
    is_active: bool | None = None
    """Only active tasks, or only inactive ones; both when it is left out."""


@router.get("", READ)
async def list_recurring_tasks(
    tasks: Tasks, window: Annotated[TaskList, Query()]
) -> ItemPage[RecurringTaskRead]:
    """List the project's recurring tasks, newest first."""
    return tasks.page(window)


@router.get("/{id}", READ)
async def get_recurring_task(id: str, tasks: Tasks) -> Item[RecurringTaskRead]:
    """Get one recurring task."""
    return tasks.item(id)


@router.post("", WRITE, creates=True)
@router.post("/create", WRITE, creates=True, name="create_recurring_task_legacy")
async def create_recurring_task(
    body: RecurringTaskCreate,
    tasks: Tasks,
    blueprints: Blueprints,
    session: DbSession,
    workflows: AfterCommitDep,
) -> Item[RecurringTaskRead]:
    """Create a recurring task, which is active at once and works on the project's repository.

    `weekly` and `biweekly` keep the weekday of creation and `monthly` its day (the last one of shorter
    months); a time that the clocks skip fires right after the gap, one that they show twice fires once.
    """
    await blueprints.get(body.target_workflow_id)
    project = await session.get_one(Project, tasks.unit.key.project_id)
    if project.github_repo_url is None:
        raise Conflict("Set the project's repository first: POST /api/v1/project/update with githubRepoUrl.")
    task = tasks.add(**body.model_dump())
    task.plan_next_run(now())
    sync_schedule(task, workflows)
    return tasks.item(task.id)


@router.put("/{id}", WRITE)
async def update_recurring_task(
    id: str, body: RecurringTaskUpdate, tasks: Tasks, blueprints: Blueprints, workflows: AfterCommitDep
) -> Item[RecurringTaskRead]:
    """Change a recurring task; its next firing is found anew, from now."""
    task = await tasks.get(id, lock=True)
    if "target_workflow_id" in body.model_fields_set:
        await blueprints.get(body.target_workflow_id)
    task.change(**body.model_dump(exclude_unset=True))
    sync_schedule(task, workflows)
    return tasks.item(task.id)


@router.delete("/{id}", WRITE)
async def delete_recurring_task(
    task: Task, session: DbSession, workflows: AfterCommitDep
) -> RecurringTaskRead:
    """Delete a recurring task for good; runs that it started go on."""
    await session.delete(task)
    sync_schedule(task, workflows)
    return RecurringTaskRead.model_validate(task)
