"""The real run workflow without its work: it is taken, waits, obeys every command and ends when stopped."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from activities.outside import Outside
from activities.runs import CloseRun, RunActivities
from activities.sandboxes import SandboxActivities
from activities.starting import RUN_WORKFLOW, RunInput
from kit.database import Database
from kit.settings import Settings
from kit.temporal import RUNNER, TASK_QUEUE
from models.run import RunStatus
from workflows.calls import instantly
from workflows.run import RunWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class QuietRun(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RunInput) -> RunStatus:
        return await super().run(input)

    async def _work(self) -> CloseRun:
        if await instantly(RunActivities.begin_run, self.run_id) is None:
            return CloseRun(run_id=self.run_id, status=RunStatus.cancelled)
        await workflow.wait_condition(lambda: self.control.stopping)
        return CloseRun(run_id=self.run_id, status=RunStatus.completed)


@asynccontextmanager
async def quiet_worker(client: Client, settings: Settings, database: Database) -> AsyncIterator[None]:
    runs = RunActivities(database)
    sandboxes = SandboxActivities(database, Outside(settings, database))
    activities: list[Callable[..., object]] = [runs.begin_run, runs.note, runs.close_run, sandboxes.release]
    async with Worker(
        client, task_queue=TASK_QUEUE, workflows=[QuietRun], activities=activities, workflow_runner=RUNNER
    ):
        yield
