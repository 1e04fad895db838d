"""Every workflow that a worker plays, and which of them live through many versions of it."""

from typing import Final

from activities.schedules.temporal_schedule import FIRING_WORKFLOW
from activities.webhooks.waking import WEBHOOK_WORKFLOW
from models.jobs.job_registry import (
    ANSWERING_WORKFLOW,
    COMBINED_MERGE_WORKFLOW,
    PULL_REQUEST_MERGE_WORKFLOW,
    SPRINT_CHAIN_WORKFLOW,
    WORK_CHAIN_WORKFLOW,
)
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
from workflows.runs.run import RunWorkflow
from workflows.sandboxes.sandbox_job import SandboxWorkflow
from workflows.schedules.recurring_task import RecurringTaskWorkflow
from workflows.trash.permanent_deletion import PermanentDeletionWorkflow
from workflows.trash.project_deletion import ProjectDeletionWorkflow
from workflows.trash.retention import TrashRetentionWorkflow
from workflows.webhooks.webhook import WebhookWorkflow

WORKFLOWS: list[type] = [
    RunWorkflow,
    SandboxWorkflow,
    AgentSessionWorkflow,
    AnsweringSessionWorkflow,
    IssueSessionWorkflow,
    LearningExtractionWorkflow,
    CombinedMergeWorkflow,
    PullRequestMergeWorkflow,
    RecurringTaskWorkflow,
    SprintChainWorkflow,
    WorkChainWorkflow,
    StartSweepWorkflow,
    ReconcileSweepWorkflow,
    TrashRetentionWorkflow,
    PermanentDeletionWorkflow,
    ProjectDeletionWorkflow,
    WebhookWorkflow,
    GithubHintsWorkflow,
]

LONG_LIVED_WORKFLOWS: Final = frozenset(
    {
        ANSWERING_WORKFLOW,
        FIRING_WORKFLOW,
        COMBINED_MERGE_WORKFLOW,
        PULL_REQUEST_MERGE_WORKFLOW,
        SPRINT_CHAIN_WORKFLOW,
        WEBHOOK_WORKFLOW,
        WORK_CHAIN_WORKFLOW,
    }
)
"""They wait for people, for CI or for events, for weeks: too long to keep the build that started them."""
