"""The schedule of a recurring task in Temporal: the next firings, each as an entry of its own in UTC.

The engine's calendars know nothing of "every other day", and skip or double what happens on nights when
clocks change; so it is told the moments themselves, some weeks ahead, and told more at every firing.
"""

from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.workflowservice.v1 import ListScheduleMatchingTimesRequest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleCalendarSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleRange,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from kit.database import Database
from kit.temporal import KIND, PROJECT_ID, TASK_QUEUE
from models import RecurringTask
from models.base import now

FIRING_WORKFLOW: Final = "RecurringTask"
FIRINGS_AHEAD: Final = 24
"""Firings that the engine is told at once: three weeks of a daily task, two years of a monthly one."""
CATCHUP_WINDOW: Final = timedelta(minutes=1)
"""A firing that the engine itself missed by more is not made up for."""


async def sync_temporal_schedule(database: Database, client: Client, task_id: str) -> None:
    """Make Temporal's schedule what the task's row says, or remove it; again if the row changed meanwhile.

    The row then says what Temporal was told: killed before that, the reconciler tells it again.  Raises
    RPCError when Temporal cannot be reached.
    """
    told: datetime | None = None
    while True:
        async with database.transaction() as session:
            task = await session.get(RecurringTask, task_id)
        if task is None:
            await _delete_schedule(client, task_id)
            return
        if task.updated_at == told:
            break
        if task.is_active:
            await _put_schedule(client, task)
        else:
            await _delete_schedule(client, task_id)
        told = task.updated_at
    async with database.transaction() as session:
        task = await session.get(RecurringTask, task_id, with_for_update=True)
        if task is not None:
            task.mark_scheduled(told)


async def list_firings(client: Client, task_id: str, until: datetime) -> list[datetime]:
    """When the engine will fire the task from now until then, in UTC; none if it has no schedule."""
    begin, end = Timestamp(), Timestamp()
    begin.FromDatetime(now())
    end.FromDatetime(until)
    request = ListScheduleMatchingTimesRequest(
        namespace=client.namespace, schedule_id=task_id, start_time=begin, end_time=end
    )
    try:
        answer = await client.workflow_service.list_schedule_matching_times(request)
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return []
    return [moment.ToDatetime(tzinfo=now().tzinfo) for moment in answer.start_time]


async def _put_schedule(client: Client, task: RecurringTask) -> None:
    attributes = TypedSearchAttributes(
        [SearchAttributePair(PROJECT_ID, task.project_id), SearchAttributePair(KIND, "recurring-task")]
    )
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(
            FIRING_WORKFLOW,
            task.id,
            id=task.id,
            task_queue=TASK_QUEUE,
            typed_search_attributes=attributes,
            static_summary=f"Recurring task: {task.title}",
            priority=Priority(fairness_key=task.project_id),
        ),
        spec=ScheduleSpec(
            calendars=[_entry(moment) for moment in islice(task.firings_after(now()), FIRINGS_AHEAD)]
        ),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=CATCHUP_WINDOW),
    )

    def change(given: ScheduleUpdateInput) -> ScheduleUpdate:
        schedule.state = given.description.schedule.state  # an operator may have paused it
        return ScheduleUpdate(schedule)

    try:
        await client.create_schedule(task.id, schedule, search_attributes=attributes)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(task.id).update(change)


async def _delete_schedule(client: Client, task_id: str) -> None:
    try:
        await client.get_schedule_handle(task_id).delete()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise


def _entry(moment: datetime) -> ScheduleCalendarSpec:
    def only(value: int) -> list[ScheduleRange]:
        return [ScheduleRange(value)]

    return ScheduleCalendarSpec(
        year=only(moment.year),
        month=only(moment.month),
        day_of_month=only(moment.day),
        hour=only(moment.hour),
        minute=only(moment.minute),
        second=only(moment.second),
    )
