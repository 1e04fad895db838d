"""The schedules that the product itself needs; recurring tasks have their own."""

from contextlib import suppress
from datetime import timedelta

from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)

from kit.temporal import TASK_QUEUE
from workflows.sweep import SweepWorkflow

SWEEP = "codecourier-sweep"
EVERY = timedelta(seconds=30)


async def ensure_schedules(client: Client) -> None:
    """Create the sweep's schedule if it is missing, and sweep once now."""
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(SweepWorkflow.run, id=SWEEP, task_queue=TASK_QUEUE),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=EVERY)]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
    )
    with suppress(ScheduleAlreadyRunningError):
        await client.create_schedule(SWEEP, schedule)
    await client.get_schedule_handle(SWEEP).trigger()
