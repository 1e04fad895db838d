"""The real run workflow without its work: it is taken, waits, obeys every command and ends when stopped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.chains.lifecycle import ChainActivities
from activities.chains.sprint_chain import SprintChainActivities
from activities.chains.work_chain import WorkChainActivities
from activities.gateway_factory import GatewayFactory
from activities.issues.answering import AnsweringActivities, QuestionActivities
from activities.jobs.launch import JobInput
from activities.jobs.lifecycle import CloseJob, JobActivities, JobResult
from activities.jobs.resumption import append_resumption
from activities.runs.lifecycle import RunActivities
from activities.sandboxes.lifecycle import SandboxActivities
from kit.cancellation import run_to_completion
from kit.database import Database
from kit.settings import Settings
from kit.temporal import TASK_QUEUE
from models.issues.answering_session import AnsweringStatus
from models.jobs.job_registry import ANSWERING_WORKFLOW, RUN_WORKFLOW
from models.runs.run import RunStatus
from tests.support.stub_agents import ANSWERER_RESULT, ASKER_RESULT, StubAgents, StubSession
from worker.activities import activities_of
from worker.interceptors import ActivityInterceptor
from workflows.activity_calls import run_local
from workflows.agent.child_session import OpenActivity
from workflows.chains.sprint_chain import SprintChainWorkflow
from workflows.chains.work_chain import WorkChainWorkflow
from workflows.issues.answering import AnsweringSessionWorkflow
from workflows.runs.run import RunState, RunWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class StubRunWorkflow(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunState) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RunState) -> RunStatus:
        await run_local(RunActivities.begin_run, self.run_id)
        try:
            await workflow.wait_condition(lambda: self.control.stopping)
        except asyncio.CancelledError:
            workflow.logger.info("cancelled")
        self.control.close_steps()
        await run_to_completion(workflow.wait_condition(workflow.all_handlers_finished))
        closing = CloseJob(job_id=self.run_id, ending=JobResult(status="cancelled"))
        return await run_to_completion(run_local(RunActivities.close_run, closing))


@workflow.defn(name=ANSWERING_WORKFLOW)
class StubAnsweringWorkflow(AnsweringSessionWorkflow):
    """Its agents have finished before they began."""

    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> AnsweringStatus:
        for agent in (ASKER_RESULT, ANSWERER_RESULT):
            await run_local(StubAgents.speak, StubSession(job_id=self.id, **agent))
        return await super().run(input)

    async def _read(self, open: OpenActivity[QuestionActivities], seconds: int) -> None:
        """Nobody has to."""


@asynccontextmanager
async def run_stub_worker(client: Client, database: Database, settings: Settings) -> AsyncIterator[None]:
    runs, chains, jobs = RunActivities(database), ChainActivities(database), JobActivities(database)
    sprint_chains, work_chains = (
        SprintChainActivities(database, settings),
        WorkChainActivities(database, settings),
    )
    answering, questions = AnsweringActivities(database), QuestionActivities(database)
    agents, sandboxes = StubAgents(database), SandboxActivities(database, GatewayFactory(settings, database))
    rooms = (runs, chains, sprint_chains, work_chains, answering, questions, agents, sandboxes)
    activities = [each for room in rooms for each in activities_of(room)]
    async with Worker(
        client,
        task_queue=TASK_QUEUE,
        workflows=[StubRunWorkflow, SprintChainWorkflow, WorkChainWorkflow, StubAnsweringWorkflow],
        activities=activities,
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityInterceptor(jobs.record_wait, partial(append_resumption, database))],
    ):
        yield
