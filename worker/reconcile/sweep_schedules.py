"""The schedules that the product itself needs; recurring tasks have their own."""

from contextlib import suppress
from datetime import timedelta
from typing import NamedTuple

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

from activities.reconcile.admission import (
    RECONCILE_SCHEDULE,
    START_SCHEDULE,
    TRASH_SCHEDULE,
    NamespaceTaken,
    namespace_owner,
)
from kit.temporal import TASK_QUEUE


class _Job(NamedTuple):
    id: str
    workflow: str
    every: timedelta


_JOBS = (
    _Job(RECONCILE_SCHEDULE, "ReconcileSweep", timedelta(seconds=30)),
    _Job(START_SCHEDULE, "StartSweep", timedelta(seconds=15)),
    _Job(TRASH_SCHEDULE, "TrashKeeping", timedelta(minutes=1)),
)
"""The first one made is the claim to the namespace."""


async def ensure_schedules(client: Client, installation: str) -> None:
    """Create the schedules that are missing, and do the work of each once now.

    client: one that puts the installation's id on them.  Raises `NamespaceTaken` when another installation
    was there first.
    """
    for job in _JOBS:
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(job.workflow, id=job.id, task_queue=TASK_QUEUE),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=job.every)]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        )
        with suppress(ScheduleAlreadyRunningError):
            await client.create_schedule(job.id, schedule)
        if (owner := await namespace_owner(client)) not in (None, installation):
            raise NamespaceTaken(client.namespace, owner)
        await client.get_schedule_handle(job.id).trigger()
