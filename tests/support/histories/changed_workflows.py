"""The workflows with one sleep put in: what a replay has to notice."""

from typing import Final

from temporalio import workflow

from activities.github.hints import GITHUB_HINTS_WORKFLOW, HintsInput
from activities.jobs.launch import ChainInput, JobInput, MergeInput
from activities.schedules.temporal_schedule import FIRING_WORKFLOW
from activities.trash.launch import PERMANENT_DELETION_WORKFLOW, PROJECT_DELETION_WORKFLOW, Deletion
from activities.webhooks.waking import WEBHOOK_WORKFLOW, WebhookInput
from models.chains.chain import ChainStatus
from models.issues.answering_session import AnsweringStatus
from models.issues.issue_session import IssueSessionStatus
from models.jobs.job_registry import (
    ANSWERING_WORKFLOW,
    COMBINED_MERGE_WORKFLOW,
    EXTRACTION_WORKFLOW,
    ISSUE_SESSION_WORKFLOW,
    PULL_REQUEST_MERGE_WORKFLOW,
    RUN_WORKFLOW,
    SANDBOX_WORKFLOW,
    SPRINT_CHAIN_WORKFLOW,
    WORK_CHAIN_WORKFLOW,
)
from models.learnings.extraction import ExtractionStatus
from models.merging.merge_job import MergeStatus
from models.runs.run import RunStatus
from models.sandboxes.sandbox_job import SandboxJobStatus
from workflows.agent.limits import SessionInput, SessionResult
from workflows.agent.session import AgentSessionWorkflow
from workflows.chains.sprint_chain import SprintChainWorkflow
from workflows.chains.work_chain import WorkChainWorkflow
from workflows.github.hints import GithubHintsWorkflow
from workflows.issues.answering import AnsweringSessionWorkflow
from workflows.issues.scan import IssueSessionWorkflow
from workflows.learnings.extraction import LearningExtractionWorkflow
from workflows.merging.combined_merge import CombinedMergeWorkflow
from workflows.merging.pull_request_merge import PullRequestMergeWorkflow
from workflows.reconcile.sweeps import ReconcileSweepWorkflow, StartSweepWorkflow
from workflows.runs.run import RunState, RunWorkflow
from workflows.sandboxes.sandbox_job import SandboxInput, SandboxWorkflow
from workflows.schedules.recurring_task import RecurringTaskWorkflow
from workflows.trash.permanent_deletion import PermanentDeletionWorkflow
from workflows.trash.project_deletion import ProjectDeletionWorkflow
from workflows.trash.retention import TrashRetentionWorkflow
from workflows.webhooks.webhook import WebhookWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class SlowerRun(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunState) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: RunState) -> RunStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name="AgentSession")
class SlowerAgentSession(AgentSessionWorkflow):
    @workflow.init
    def __init__(self, input: SessionInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: SessionInput) -> SessionResult:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name="StartSweep")
class SlowerStartSweep(StartSweepWorkflow):
    @workflow.run
    async def run(self) -> str:
        await workflow.sleep(1)
        return await super().run()


@workflow.defn(name="ReconcileSweep")
class SlowerReconcileSweep(ReconcileSweepWorkflow):
    @workflow.run
    async def run(self) -> str:
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


@workflow.defn(name=COMBINED_MERGE_WORKFLOW)
class SlowerMerge(CombinedMergeWorkflow):
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> MergeStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=PULL_REQUEST_MERGE_WORKFLOW)
class SlowerPullRequestMerge(PullRequestMergeWorkflow):
    @workflow.init
    def __init__(self, input: MergeInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: MergeInput) -> MergeStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name="TrashKeeping")
class SlowerTrashKeeping(TrashRetentionWorkflow):
    @workflow.run
    async def run(self) -> int:
        await workflow.sleep(1)
        return await super().run()


@workflow.defn(name=PERMANENT_DELETION_WORKFLOW)
class SlowerPermanentDeletion(PermanentDeletionWorkflow):
    @workflow.run
    async def run(self, deletion: Deletion) -> None:
        await workflow.sleep(1)
        await super().run(deletion)


@workflow.defn(name=PROJECT_DELETION_WORKFLOW)
class SlowerProjectDeletion(ProjectDeletionWorkflow):
    @workflow.run
    async def run(self, project_id: str) -> None:
        await workflow.sleep(1)
        await super().run(project_id)


@workflow.defn(name=EXTRACTION_WORKFLOW)
class SlowerLearningExtraction(LearningExtractionWorkflow):
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: JobInput) -> ExtractionStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=WEBHOOK_WORKFLOW)
class SlowerWebhook(WebhookWorkflow):
    @workflow.init
    def __init__(self, input: WebhookInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: WebhookInput) -> None:
        await workflow.sleep(1)
        await super().run(input)


@workflow.defn(name=SANDBOX_WORKFLOW)
class SlowerSandbox(SandboxWorkflow):
    @workflow.init
    def __init__(self, input: SandboxInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: SandboxInput) -> SandboxJobStatus:
        await workflow.sleep(1)
        return await super().run(input)


@workflow.defn(name=GITHUB_HINTS_WORKFLOW)
class SlowerGithubHints(GithubHintsWorkflow):
    @workflow.init
    def __init__(self, input: HintsInput) -> None:
        super().__init__(input)

    @workflow.run
    async def run(self, input: HintsInput) -> None:
        await workflow.sleep(1)
        await super().run(input)


CHANGED_WORKFLOWS: Final[list[type]] = [
    SlowerRun,
    SlowerSandbox,
    SlowerAgentSession,
    SlowerIssueSession,
    SlowerLearningExtraction,
    SlowerAnsweringSession,
    SlowerMerge,
    SlowerPullRequestMerge,
    SlowerRecurringTask,
    SlowerSprintChain,
    SlowerWorkChain,
    SlowerStartSweep,
    SlowerReconcileSweep,
    SlowerTrashKeeping,
    SlowerPermanentDeletion,
    SlowerProjectDeletion,
    SlowerWebhook,
    SlowerGithubHints,
]
