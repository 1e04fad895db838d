"""The worker: composes workflows, activities and gateways, and leaves in good order."""

import asyncio
import gc
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib.metadata import version

import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs import JobActivities
from kit import logs
from kit.database import Database
from kit.settings import Settings, settings
from kit.temporal import AGENTS_QUEUE, TASK_QUEUE, connect
from worker.activities import all_activities
from worker.interceptors import ActivityInterceptor
from worker.registry import WORKFLOWS
from worker.schedules import ensure_schedules

GRACE = timedelta(seconds=20)
"""What runs when the worker is told to stop may finish for so long; then it goes on elsewhere."""
STICKY = timedelta(seconds=5)
"""How long a workflow waits for the worker that knows it; after a crash another one takes it up then."""
RUN_ACTIVITIES, AGENT_ACTIVITIES = 100, 200
"""Activities at once: most of their time they wait for somebody else."""
BUILD = f"codecourier-{version('codecourier')}"
"""How the engine's histories name this code; the SDK's own name takes a quarter of a second to compute."""

log = logs.logger(__name__)


def build_workers(client: Client, settings: Settings, database: Database) -> list[Worker]:
    """One worker for each task queue; any process can serve both, so scaling out is starting more of them."""
    activities = all_activities(client, settings, database)
    waits = JobActivities(database)
    slots = {TASK_QUEUE: RUN_ACTIVITIES, AGENTS_QUEUE: AGENT_ACTIVITIES}
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),  # ADR 12
            interceptors=[ActivityInterceptor(waits.wait)],
            build_id=BUILD,
            max_concurrent_activities=most,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=GRACE,
            sticky_queue_schedule_to_start_timeout=STICKY,
            workflow_failure_exception_types=[Exception],
        )
        for queue, most in slots.items()
    ]


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then let what runs finish within `GRACE`."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    database = Database(settings.sqlalchemy_url, pool_size=settings.database_pool_size, pre_ping=False)
    try:
        client = await connect(settings)
        async with AsyncExitStack() as stack:
            for worker in build_workers(client, settings, database):
                await stack.enter_async_context(worker)
            await ensure_schedules(client)
            gc.freeze()  # what is there by now stays: the collector need not look at it again and again
            log.info("the worker is ready", temporal=settings.temporal_address)
            await stop.wait()
            log.info("the worker leaves", grace_seconds=GRACE.total_seconds())
    finally:
        await database.close()


def main() -> None:
    """Run a worker with the settings of the environment."""
    configured = settings()
    logs.configure(configured.log_level, configured.log_format, configured.secret_values())
    uvloop.run(serve(configured))
