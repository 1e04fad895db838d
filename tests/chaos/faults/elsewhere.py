"""A worker that was told another namespace, or another database, than the installation has."""

from datetime import timedelta

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from kit.ids import new_id
from models import Run
from models.event import EventType
from tests.chaos.environment import FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.faults.workers import SLOW

SWEEPS = 70.0
"""Seconds for the stranger to look twice at everything that it might take for lost."""
LONG_AGO = timedelta(minutes=10)


@fault("wrong-namespace", "A worker with another namespace and the same database joins.")
async def wrong_namespace(stage: FaultEnvironment) -> None:
    name = new_id("other")
    await stage.site.parts.make_namespace(name)
    await joined_by(stage, TEMPORAL_NAMESPACE=name)


@fault("wrong-database", "A worker with another database and the same namespace joins.")
async def wrong_database(stage: FaultEnvironment) -> None:
    name = new_id("other")
    await stage.site.parts.make_database(name)
    await joined_by(stage, DATABASE_URL=stage.site.parts.database_url(name))


async def joined_by(stage: FaultEnvironment, **environment: str) -> None:
    """Have such a worker look at runs that are paused, and have been silent for long; then they go on."""
    await stage.accept_all(SLOW)
    for job in stage.accepted:
        await stage.site.until(job.run, EventType.turn_completed, patience=stage.patience)
        try:
            await stage.site.command(job.run, "pause")
        except (WorkflowUpdateFailedError, RPCError):  # it is past its steps by now
            continue
        async with stage.site.database.transaction() as session:
            run = await session.get_one(Run, job.run.id, with_for_update=True)
            run.last_progress_at = (run.last_progress_at or run.created_at) - LONG_AGO
    stranger = await stage.start_worker(**environment)
    await stage.wait(SWEEPS)
    await stranger.stop(patience=0)
    for job in stage.accepted:
        if not (await stage.site.read(job.run)).is_finished:
            await stage.site.command(job.run, "resume")
