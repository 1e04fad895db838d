"""The worker: composes workflows, activities and gateways, and leaves in good order."""

import asyncio
import gc
import os
import signal
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from sqlalchemy.exc import OperationalError
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.errors import TEMPORAL_UNAVAILABLE_STATUSES
from activities.jobs.lifecycle import JobActivities
from activities.jobs.resumption import append_resumption
from activities.reconcile.admission import NamespaceTaken, bind_namespace
from gateways.git.cache import CloneCache
from gateways.git.process import Git, GitUnusable, check_version
from kit import logs
from kit.database import Database
from kit.settings import Settings, settings
from kit.temporal import AGENTS_QUEUE, TASK_QUEUE, WEBHOOKS_QUEUE, connect
from kit.tenancy import DatabaseRole
from models.reconcile.installation import Installation, get_installation
from worker.activities import build_activities
from worker.deployment import deployment_of, patch_activation, runner_of
from worker.interceptors import ActivityInterceptor
from worker.reconcile.sweep_schedules import ensure_schedules
from worker.registry import WORKFLOWS
from worker.telemetry import runtime_of
from worker.webhooks.dispatcher import run_dispatcher
from workflows.bugs import BugInterceptor

STICKY_TIMEOUT = timedelta(seconds=5)
"""How long a workflow waits for the worker that knows it; after a crash another one takes it up then."""
MAX_START_ATTEMPTS = 30
"""Of a worker that starts, a second apart."""
RUN_ACTIVITIES, AGENT_ACTIVITIES, WEBHOOK_ACTIVITIES = 100, 200, 400
"""Activities at once: most of their time they wait for somebody else."""

log = logs.logger(__name__)


def build_workers(client: Client, settings: Settings, database: Database) -> list[Worker]:
    """One worker for each task queue; any process can serve all, so scaling out is starting more of them.

    Told to stop, each lets its activities finish for as long as the settings say; then they go on elsewhere.
    Turns and tool calls get longest, as a turn that is cut is paid for twice.
    """
    activities = build_activities(client, settings, database)
    waits = JobActivities(database)
    grace, agents_grace = settings.worker_grace_seconds, settings.agents_grace_seconds
    queues = (
        (TASK_QUEUE, RUN_ACTIVITIES, grace),
        (AGENTS_QUEUE, AGENT_ACTIVITIES, agents_grace),
        (WEBHOOKS_QUEUE, WEBHOOK_ACTIVITIES, grace),
    )
    return [
        Worker(
            client,
            task_queue=queue,
            workflows=WORKFLOWS,
            activities=activities,
            workflow_runner=runner_of(settings),
            interceptors=[
                ActivityInterceptor(waits.record_retry, partial(append_resumption, database)),
                BugInterceptor(),
            ],
            deployment_config=deployment_of(settings),
            patch_activation_callback=patch_activation(settings.workflow_patches_until),
            max_concurrent_activities=most,
            max_heartbeat_throttle_interval=timedelta(seconds=1),
            graceful_shutdown_timeout=timedelta(seconds=seconds),
            sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        )
        for queue, most, seconds in queues
    ]


async def serve(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT, then let what runs finish; a second signal ends it at once.

    In a namespace that is not the installation's, what is there is worked on, and nothing is swept.  Raises
    `NamespaceTaken` where another installation works.
    """
    stop = _stop_signal()
    _check_git(settings)
    database = Database(
        settings.sqlalchemy_url,
        role=DatabaseRole.worker,
        pool_size=settings.database_pool_size,
        pre_ping=False,
    )
    try:
        installation = await _read_installation(database)
        client = await connect(settings, installation.id, runtime_of(settings))
        refusal = await bind_namespace(database, client)
        workers = build_workers(client, settings, database)
        async with AsyncExitStack() as stack:
            for worker in workers:
                await stack.enter_async_context(worker)
            if refusal is None:
                await stack.enter_async_context(run_dispatcher(settings, database, client))
                await _ensure_schedules(client, installation.id)
            gc.freeze()  # what is there by now stays: the collector need not look at it again and again
            build = deployment_of(settings).version.build_id
            log.info("the worker is ready", temporal=settings.temporal_address, build=build)
            await stop.wait()
            log.info("the worker leaves", grace_seconds=settings.agents_grace_seconds)
            await asyncio.gather(*(worker.shutdown() for worker in workers))  # none takes work meanwhile
    finally:
        await database.close()


async def _read_installation(database: Database) -> Installation:
    """A database that is just being started is waited for; raises OperationalError when it does not come."""
    for _ in range(MAX_START_ATTEMPTS - 1):
        try:
            async with database.read_only() as session:
                return await get_installation(session)
        except OperationalError:
            log.warning("worker.database_away")
            await asyncio.sleep(1)
    async with database.read_only() as session:
        return await get_installation(session)


async def _ensure_schedules(client: Client, installation_id: str) -> None:
    """A Temporal that is slow or away just now is waited for; raises RPCError when it does not come back."""
    for _ in range(MAX_START_ATTEMPTS - 1):
        try:
            await ensure_schedules(client, installation_id)
        except RPCError as error:
            if error.status not in TEMPORAL_UNAVAILABLE_STATUSES:
                raise
            log.warning("worker.temporal_away")
            await asyncio.sleep(1)
        else:
            return
    await ensure_schedules(client, installation_id)


def _check_git(settings: Settings) -> None:
    """Say who git runs as; raises `GitUnusable` when this host cannot run it."""
    version = check_version()
    cache = CloneCache(Git(), settings.git_cache_dir, settings.git_cache_bytes)
    isolation = cache.git.isolation.name
    if isolation == "none":
        log.warning("git.not_isolated", why="no user namespaces here: git runs as the worker's own user")
    log.info("git.ready", version=version, runs_as=isolation, cache=str(cache.directory))


def _stop_signal() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one ends the process, as a crash would."""
    stop = asyncio.Event()

    def heed() -> None:
        if stop.is_set():
            log.warning("the worker leaves at once")
            os._exit(1)
        stop.set()

    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, heed)
    return stop


def main() -> None:
    """Run a worker with the settings of the environment."""
    configured = settings()
    logs.configure(configured.log_level, configured.log_format, configured.secret_values())
    try:
        # Not uvloop: it forks this large process for each git, which takes twenty times as long.
        asyncio.run(serve(configured))
    except (NamespaceTaken, GitUnusable) as refusal:
        log.error("worker.refused", reason=str(refusal))
        raise SystemExit(1) from None
