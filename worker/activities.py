"""Every activity that a worker carries out, with the gateways and rows that it needs."""

import inspect
from collections.abc import Callable

from temporalio import activity
from temporalio.client import Client

from activities.agent.finish import Finishing
from activities.agent.sandbox_losses import SandboxLosses
from activities.agent.tool_calls import ToolCalls
from activities.agent.turns import AgentTurns
from activities.budgets.waits import Holding
from activities.chains.lifecycle import Chains
from activities.chains.sprint_chain import SprintChains
from activities.chains.work_chain import WorkChains
from activities.gateway_factory import Outside
from activities.github.hints import GithubHints
from activities.issues.answer_delivery import ToldRuns
from activities.issues.answering import AnsweringSessions
from activities.issues.questions import SessionQuestions
from activities.issues.scan import IssueSessions
from activities.jobs.lifecycle import JobActivities
from activities.learnings.extractions import LearningExtractions
from activities.merging.combined_merge import Integrating
from activities.merging.combined_merge_jobs import Integrations
from activities.merging.combined_pull_request import UnifiedPullRequests
from activities.merging.pull_request_merge import PullRequestMerging
from activities.merging.pull_request_merge_jobs import MergeJobs
from activities.reconcile.reconciler import Reconciler
from activities.reconcile.start_sweep import Starting
from activities.runs.ci_checks import Ci
from activities.runs.ci_fixes import CiFixes
from activities.runs.delivery import Delivery
from activities.runs.lifecycle import RunActivities
from activities.runs.steps import StepActivities
from activities.sandboxes.lifecycle import SandboxActivities
from activities.sandboxes.sandbox_jobs import SandboxJobs
from activities.sandboxes.workspace import Workspaces
from activities.schedules.recurring_tasks import RecurringTasks
from activities.trash.permanent_deletion import PermanentDeletion
from activities.trash.project_deletion import ProjectDeletion
from activities.trash.retention import TrashKeeping
from activities.verification.fresh_commands import FreshCommands
from activities.verification.verifications import Verifications
from activities.webhooks.deliveries import Webhooks
from kit.database import Database
from kit.settings import Settings

Activity = Callable[..., object]


def all_activities(client: Client, settings: Settings, database: Database) -> list[Activity]:
    outside = Outside(settings, database)
    rooms: list[object] = [
        JobActivities(database),
        RunActivities(database, client),
        StepActivities(database),
        SandboxActivities(database, outside),
        Workspaces(database, outside),
        AgentTurns(database, outside),
        ToolCalls(database, outside),
        Holding(database),
        Delivery(database, outside),
        Ci(database, outside),
        CiFixes(database, outside),
        SandboxJobs(database),
        SandboxLosses(database),
        Finishing(database),
        Verifications(database),
        FreshCommands(database, outside),
        IssueSessions(database),
        AnsweringSessions(database),
        SessionQuestions(database),
        LearningExtractions(database, settings),
        ToldRuns(database, client),
        Chains(database),
        SprintChains(database, settings),
        WorkChains(database, settings),
        Integrations(database),
        Integrating(database, outside),
        UnifiedPullRequests(database, outside),
        MergeJobs(database),
        PullRequestMerging(database, outside),
        RecurringTasks(database, settings, client),
        Starting(database, client),
        Reconciler(database, client, outside),
        TrashKeeping(database, client, settings),
        PermanentDeletion(database, client, outside),
        ProjectDeletion(database, client, outside),
        Webhooks(database, settings, outside),
        GithubHints(database, outside),
    ]
    return [each for room in rooms for each in activities_of(room)]


def activities_of(room: object) -> list[Activity]:
    """Its methods that are marked as activities."""
    methods = [method for _, method in inspect.getmembers(room, inspect.ismethod)]
    return [each for each in methods if activity._Definition.from_callable(each)]
