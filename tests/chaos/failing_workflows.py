"""Workflows whose code has a bug that no test has met."""

from temporalio import workflow

from activities.jobs.launch import ChainInput
from activities.jobs.lifecycle import JobResult
from models.chains.chain import ChainStatus
from models.jobs.job_registry import RUN_WORKFLOW, SPRINT_CHAIN_WORKFLOW
from models.runs.run import RunStatus
from worker.registry import WORKFLOWS
from workflows.agent.limits import SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow
from workflows.chains.sprint_chain import SprintChainWorkflow
from workflows.runs.run import RunState, RunWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class FailingRunWorkflow(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunState) -> None:
        super().__init__(input)
        self.nothing = 0

    @workflow.run
    async def run(self, input: RunState) -> RunStatus:
        return await super().run(input)

    async def _work(self) -> JobResult:
        return JobResult(status="completed", message=str(1 / self.nothing))


@workflow.defn(name="AgentSession")
class FailingAgentSessionWorkflow(AgentSessionWorkflow):
    @workflow.init
    def __init__(self, input: SessionInput) -> None:
        super().__init__(input)
        self.nothing = 0

    @workflow.run
    async def run(self, input: SessionInput) -> SessionResult:
        return SessionResult(finished=1 / self.nothing > 0)


@workflow.defn(name=SPRINT_CHAIN_WORKFLOW)
class FailingSprintChainWorkflow(SprintChainWorkflow):
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        super().__init__(input)
        self.nothing = 0

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        return await super().run(input)

    async def _work(self) -> JobResult:
        return JobResult(status="completed", message=str(1 / self.nothing))


def replace_workflows(*buggy: type) -> list[type]:
    """The workflows of a worker, with these in place of those that they are made from."""
    return [next((each for each in buggy if issubclass(each, sound)), sound) for sound in WORKFLOWS]
