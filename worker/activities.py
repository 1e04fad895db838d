"""Every activity that a worker carries out, with the gateways and rows that it needs."""

import inspect
from collections.abc import Callable

from temporalio import activity
from temporalio.client import Client

from activities.agent.finish import FinishActivities
from activities.agent.sandbox_losses import SandboxLossActivities
from activities.agent.tool_calls import ToolCallActivities
from activities.agent.turns import TurnActivities
from activities.budgets.waits import BudgetWaitActivities
from activities.chains.lifecycle import ChainActivities
from activities.chains.sprint_chain import SprintChainActivities
from activities.chains.work_chain import WorkChainActivities
from activities.gateway_factory import GatewayFactory
from activities.github.hints import GithubHintActivities
from activities.issues.answer_delivery import AnswerDelivery
from activities.issues.answering import AnsweringActivities, QuestionActivities
from activities.issues.scan import IssueScanActivities
from activities.jobs.lifecycle import JobActivities
from activities.learnings.extractions import ExtractionActivities
from activities.merging.combined_merge import CombinedMergeActivities, CombinedMergeJobActivities
from activities.merging.combined_pull_request import CombinedPullRequestActivities
from activities.merging.pull_request_merge import PullRequestMergeActivities, PullRequestMergeJobActivities
from activities.reconcile.reconciler import Reconciler
from activities.reconcile.start_sweep import StartSweepActivities
from activities.runs.ci_checks import CiActivities
from activities.runs.ci_fixes import CiFixes
from activities.runs.delivery import RunDeliveryActivities
from activities.runs.lifecycle import RunActivities
from activities.runs.steps import StepActivities
from activities.sandboxes.lifecycle import SandboxActivities
from activities.sandboxes.sandbox_jobs import SandboxJobActivities
from activities.sandboxes.workspace import WorkspaceActivities
from activities.schedules.recurring_tasks import RecurringTaskActivities
from activities.trash.permanent_deletion import PermanentDeletion
from activities.trash.project_deletion import ProjectDeletion
from activities.trash.retention import TrashRetention
from activities.verification.fresh_commands import FreshCommands
from activities.verification.verifications import Verifications
from activities.webhooks.deliveries import WebhookDeliveryActivities
from kit.database import Database
from kit.settings import Settings

Activity = Callable[..., object]


def build_activities(client: Client, settings: Settings, database: Database) -> list[Activity]:
    outside = GatewayFactory(settings, database)
    rooms: list[object] = [
        JobActivities(database),
        RunActivities(database, client),
        StepActivities(database),
        SandboxActivities(database, outside),
        WorkspaceActivities(database, outside),
        TurnActivities(database, outside),
        ToolCallActivities(database, outside),
        BudgetWaitActivities(database),
        RunDeliveryActivities(database, outside),
        CiActivities(database, outside),
        CiFixes(database, outside),
        SandboxJobActivities(database),
        SandboxLossActivities(database),
        FinishActivities(database),
        Verifications(database),
        FreshCommands(database, outside),
        IssueScanActivities(database),
        AnsweringActivities(database),
        QuestionActivities(database),
        ExtractionActivities(database, settings),
        AnswerDelivery(database, client),
        ChainActivities(database),
        SprintChainActivities(database, settings),
        WorkChainActivities(database, settings),
        CombinedMergeJobActivities(database),
        CombinedMergeActivities(database, outside),
        CombinedPullRequestActivities(database, outside),
        PullRequestMergeJobActivities(database),
        PullRequestMergeActivities(database, outside),
        RecurringTaskActivities(database, settings, client),
        StartSweepActivities(database, client),
        Reconciler(database, client, outside),
        TrashRetention(database, client, settings),
        PermanentDeletion(database, client, outside),
        ProjectDeletion(database, client, outside),
        WebhookDeliveryActivities(database, settings, outside),
        GithubHintActivities(database, outside),
    ]
    return [each for room in rooms for each in activities_of(room)]


def activities_of(room: object) -> list[Activity]:
    """Its methods that are marked as activities."""
    methods = [method for _, method in inspect.getmembers(room, inspect.ismethod)]
    return [each for each in methods if activity._Definition.from_callable(each)]
