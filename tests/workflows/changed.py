"""The workflows with one sleep put in: what a replay has to notice."""

from typing import Final

from temporalio import workflow

from activities.chain_starting import SPRINT_CHAIN_WORKFLOW, WORK_CHAIN_WORKFLOW, ChainInput
from activities.job_starting import ANSWERING_WORKFLOW, INTEGRATION_WORKFLOW, ISSUE_SESSION_WORKFLOW, JobInput
from activities.merge_starting import MERGE_WORKFLOW, MergeInput
from activities.starting import RUN_WORKFLOW, RunInput
from activities.task_schedules import FIRING_WORKFLOW
from models.answering_session import AnsweringStatus
from models.chain import ChainStatus
from models.issue_session import IssueSessionStatus
from models.merge_job import MergeStatus
from models.run import RunStatus
from workflows.agent_session import AgentSessionWorkflow
from workflows.answering_session import AnsweringSessionWorkflow
from workflows.issue_session import IssueSessionWorkflow
from workflows.merge import MergeWorkflow
from workflows.pull_request_merge import PullRequestMergeWorkflow
from workflows.recurring_task import RecurringTaskWorkflow
from workflows.run import RunWorkflow
from workflows.session_limits import SessionInput, SessionOutcome
from workflows.sprint_chain import SprintChainWorkflow
from workflows.sweep import SweepWorkflow
from workflows.work_chain import WorkChainWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class SlowerRun(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RunInput) -> RunStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name="AgentSession")
class SlowerAgentSession(AgentSessionWorkflow):
    @workflow.init
    def __init__(self, input: SessionInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: SessionInput) -> SessionOutcome:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name="Sweep")
class SlowerSweep(SweepWorkflow):
    @workflow.run
    async def run(self) -> int:
        await workflow.sleep(1)
        return await super().run()


@workflow.defn(name=FIRING_WORKFLOW)
class SlowerRecurringTask(RecurringTaskWorkflow):
    @workflow.run
    async def run(self, task_id: str) -> str | None:
        await workflow.sleep(1)
        return await super().run(task_id)


@workflow.defn(name=SPRINT_CHAIN_WORKFLOW)
class SlowerSprintChain(SprintChainWorkflow):
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=ISSUE_SESSION_WORKFLOW)
class SlowerIssueSession(IssueSessionWorkflow):
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> IssueSessionStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=ANSWERING_WORKFLOW)
class SlowerAnsweringSession(AnsweringSessionWorkflow):
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> AnsweringStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=WORK_CHAIN_WORKFLOW)
class SlowerWorkChain(WorkChainWorkflow):
    @workflow.init
    def __init__(self, input: ChainInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: ChainInput) -> ChainStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=INTEGRATION_WORKFLOW)
class SlowerMerge(MergeWorkflow):
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> MergeStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=MERGE_WORKFLOW)
class SlowerPullRequestMerge(PullRequestMergeWorkflow):
    @workflow.init
    def __init__(self, input: MergeInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: MergeInput) -> MergeStatus:
        await workflow.sleep(1)
        return await super().run(input)


CHANGED: Final[list[type]] = [
    SlowerRun,
    SlowerAgentSession,
    SlowerIssueSession,
    SlowerAnsweringSession,
    SlowerMerge,
    SlowerPullRequestMerge,
    SlowerRecurringTask,
    SlowerSprintChain,
    SlowerWorkChain,
    SlowerSweep,
]
