"""Every workflow that a worker plays, and which of them live through many versions of it."""

from typing import Final

from activities.task_schedules import FIRING_WORKFLOW
from activities.webhooks.waking import WEBHOOK_WORKFLOW
from models.job_kinds import (
    ANSWERING_WORKFLOW,
    INTEGRATION_WORKFLOW,
    MERGE_WORKFLOW,
    SPRINT_CHAIN_WORKFLOW,
    WORK_CHAIN_WORKFLOW,
)
from workflows.agent_session import AgentSessionWorkflow
from workflows.answering_session import AnsweringSessionWorkflow
from workflows.issue_session import IssueSessionWorkflow
from workflows.learnings.extraction import LearningExtractionWorkflow
from workflows.merge import MergeWorkflow
from workflows.pull_request_merge import PullRequestMergeWorkflow
from workflows.reconcile.sweeps import ReconcileSweepWorkflow, StartSweepWorkflow
from workflows.recurring_task import RecurringTaskWorkflow
from workflows.run import RunWorkflow
from workflows.sandboxes.sandbox_job import SandboxWorkflow
from workflows.sprint_chain import SprintChainWorkflow
from workflows.trash.keeping import TrashKeepingWorkflow
from workflows.trash.permanent_deletion import PermanentDeletionWorkflow
from workflows.trash.project_deletion import ProjectDeletionWorkflow
from workflows.webhooks.github_hints import GithubHintsWorkflow
from workflows.webhooks.webhook import WebhookWorkflow
from workflows.work_chain import WorkChainWorkflow

WORKFLOWS: list[type] = [
    RunWorkflow,
    SandboxWorkflow,
    AgentSessionWorkflow,
    AnsweringSessionWorkflow,
    IssueSessionWorkflow,
    LearningExtractionWorkflow,
    MergeWorkflow,
    PullRequestMergeWorkflow,
    RecurringTaskWorkflow,
    SprintChainWorkflow,
    WorkChainWorkflow,
    StartSweepWorkflow,
    ReconcileSweepWorkflow,
    TrashKeepingWorkflow,
    PermanentDeletionWorkflow,
    ProjectDeletionWorkflow,
    WebhookWorkflow,
    GithubHintsWorkflow,
]

LONG_LIVED: Final = frozenset(
    {
        ANSWERING_WORKFLOW,
        FIRING_WORKFLOW,
        INTEGRATION_WORKFLOW,
        MERGE_WORKFLOW,
        SPRINT_CHAIN_WORKFLOW,
        WEBHOOK_WORKFLOW,
        WORK_CHAIN_WORKFLOW,
    }
)
"""They wait for people, for CI or for events, for weeks: too long to keep the build that started them."""
