"""Recurring tasks that fire: one run for each firing, and a word where there is none."""

from datetime import timedelta
from itertools import islice

import pytest
from sqlmodel import col

from activities.reconcile.findings import Inconsistency
from activities.schedules.recurring_tasks import Firing, RecurringTaskActivities
from activities.schedules.temporal_schedule import list_firings, sync_temporal_schedule
from models import Blueprint, Notification, RecurringTask, Run
from models.base import now
from models.runs.run import PrStatus, RunSource, RunStatus
from models.schedules.recurrence import Frequency
from tests.support.inconsistencies import repair_if_found
from tests.support.installation import Installation, wait_until
from tests.support.scenarios import create, finish, register_scenario
from tests.unit.models.schedules.test_recurrence import ZONES

AUDIT = register_scenario("audit", create("audit.txt", "fine\n"), finish("Audited."))


async def a_task(site: Installation, **fields: object) -> RecurringTask:
    """An active task on a repository of its own; its schedule is not made yet."""
    url = f"{site.settings.github_url}/{await site.repository()}"
    project = await site.project(github_repo_url=url)
    blueprint = site.blueprint(project.id)
    await site.add(blueprint)
    task = RecurringTask(
        project_id=project.id,
        target_workflow_id=blueprint.id,
        title="Daily audit",
        prompt=f"Audit {AUDIT}",
        frequency=Frequency.daily,
        timezone="UTC",
        scheduled_hour=8,
        scheduled_minute=0,
    )
    task.sqlmodel_update(fields)
    task.plan_next_run(now())
    await site.add(task)
    return task


def due(task: RecurringTask) -> Firing:
    """Its next one."""
    return Firing(task_id=task.id, occurrence=next(task.firings_after(now())))


async def runs_of(site: Installation, task: RecurringTask) -> list[Run]:
    return await site.rows(Run, col(Run.recurring_task_id) == task.id, col(Run.id))


async def read(site: Installation, task: RecurringTask) -> RecurringTask:
    [row] = await site.rows(RecurringTask, col(RecurringTask.id) == task.id, col(RecurringTask.id))
    return row


def activities(site: Installation) -> RecurringTaskActivities:
    return RecurringTaskActivities(site.database, site.settings, site.client)


async def test_a_firing_of_its_schedule_ends_in_a_pull_request(site: Installation) -> None:
    task = await a_task(site)
    await sync_temporal_schedule(site.database, site.client, task.id)
    await site.client.get_schedule_handle(task.id).trigger()

    async def has_fired() -> bool:
        return await runs_of(site, task) != []

    await wait_until(has_fired, "the schedule fires")
    [run] = await runs_of(site, task)
    ended = await site.ended(run)
    assert (ended.status, ended.pr_status) == (RunStatus.completed, PrStatus.created)
    assert (ended.source, ended.name) == (RunSource.scheduled, "Daily audit")
    assert (ended.timezone, ended.recurrence_pattern) == ("UTC", "daily")
    assert ended.scheduled_for is not None
    after = await read(site, task)
    assert (after.last_run_id, after.last_error) == (run.id, None)
    assert after.next_run_at == next(task.firings_after(now()))


async def test_one_firing_carried_out_often_starts_one_run(site: Installation) -> None:
    """As when a worker dies after the run was committed, or told to the engine, or after that."""
    task = await a_task(site)
    firing = due(task)
    ids = [await activities(site).start_due_run(firing) for _ in range(3)]
    [run] = await runs_of(site, task)
    assert ids == [run.id] * 3
    assert run.scheduled_for == firing.occurrence
    assert (await site.ended(run)).status is RunStatus.completed
    assert await activities(site).start_due_run(firing) == run.id
    assert len(await runs_of(site, task)) == 1


async def test_a_firing_while_its_last_run_goes_on_starts_none_and_says_so(site: Installation) -> None:
    task = await a_task(site)
    before = await site.accept("The last one", project=await site.project())
    async with site.database.transaction() as session:
        (await session.get_one(Run, before.id, with_for_update=True)).status = RunStatus.paused
        (await session.get_one(RecurringTask, task.id)).last_run_id = before.id
    assert await activities(site).start_due_run(due(task)) is None
    assert await runs_of(site, task) == []
    assert "still paused" in ((await read(site, task)).last_error or "")


async def test_a_firing_that_cannot_be_tells_the_members(site: Installation) -> None:
    task = await a_task(site)
    async with site.database.transaction() as session:
        (await session.get_one(Blueprint, task.target_workflow_id)).trash()
    assert await activities(site).start_due_run(due(task)) is None
    assert await runs_of(site, task) == []
    assert (await read(site, task)).last_error == "Workflow not found."
    of_project = col(Notification.project_id) == task.project_id
    [told] = await site.rows(Notification, of_project, col(Notification.id))
    assert told.data["recurringTaskId"] == task.id


async def test_an_inactive_or_deleted_task_does_not_fire(site: Installation) -> None:
    task = await a_task(site, is_active=False)
    assert await activities(site).start_due_run(due(task)) is None
    assert await activities(site).start_due_run(Firing(task_id="rt_" + "0" * 32, occurrence=now())) is None
    assert await runs_of(site, task) == []


async def test_schedules_and_rows_are_held_against_each_other(site: Installation) -> None:
    """Whatever of the two is missing or too much, and whatever was missed while nothing ran."""
    unscheduled, overdue, gone = await a_task(site), await a_task(site), await a_task(site)
    await sync_temporal_schedule(site.database, site.client, gone.id)
    async with site.database.transaction() as session:
        (await session.get_one(RecurringTask, overdue.id)).next_run_at = now() - timedelta(days=3)
        await session.delete(await session.get_one(RecurringTask, gone.id))

    async def mended() -> bool:
        """The worker's own sweep may be quicker, and the engine lists what there is a little later."""
        for each in (unscheduled, overdue, gone):
            await repair_if_found(site, Inconsistency.schedule, each.id)
        listed = {entry.id async for entry in await site.client.list_schedules()}
        return {unscheduled.id, overdue.id} <= listed and gone.id not in listed

    await wait_until(mended, "schedules are what their tasks say")
    fires = list(islice(unscheduled.firings_after(now()), 3))
    assert await list_firings(site.client, unscheduled.id, fires[-1]) == fires
    assert (await read(site, overdue)).next_run_at == next(overdue.firings_after(now()))
    assert await runs_of(site, overdue) == []


@pytest.mark.parametrize("frequency", Frequency)
async def test_the_engine_fires_when_the_rule_says(site: Installation, frequency: Frequency) -> None:
    """In forty zones, for as far ahead as the engine is told."""
    for place, zone in enumerate(ZONES):
        hour = (1, 2, 23)[place % 3]
        task = await a_task(
            site, frequency=frequency, timezone=zone, scheduled_hour=hour, scheduled_minute=30
        )
        await sync_temporal_schedule(site.database, site.client, task.id)
        expected = list(islice(task.firings_after(now()), 24))
        assert await list_firings(site.client, task.id, expected[-1]) == expected
