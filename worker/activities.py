"""Every activity that a worker carries out, with the gateways and rows that it needs."""

import inspect
from collections.abc import Callable

from temporalio import activity
from temporalio.client import Client

from activities.agent.finishing import Finishing
from activities.agent.sandbox_losses import SandboxLosses
from activities.agent_turns import AgentTurns
from activities.answering_sessions import AnsweringSessions
from activities.budgets.holding import Holding
from activities.chains import Chains
from activities.ci import Ci
from activities.delivery import Delivery
from activities.integrating import Integrating
from activities.integrations import Integrations
from activities.issue_sessions import IssueSessions
from activities.jobs import JobActivities
from activities.learnings.extractions import LearningExtractions
from activities.merge_jobs import MergeJobs
from activities.outside import Outside
from activities.pull_request_merging import PullRequestMerging
from activities.reconcile.reconciler import Reconciler
from activities.reconcile.starting import Starting
from activities.recurring_tasks import RecurringTasks
from activities.runs.ci_fixes import CiFixes
from activities.runs.lifecycle import RunActivities
from activities.sandboxes.jobs import SandboxJobs
from activities.sandboxes.lifecycle import SandboxActivities
from activities.session_questions import SessionQuestions
from activities.sprint_chains import SprintChains
from activities.steps import StepActivities
from activities.told_runs import ToldRuns
from activities.tool_calls import ToolCalls
from activities.trash.keeping import TrashKeeping
from activities.trash.permanent_deletion import PermanentDeletion
from activities.trash.project_deletion import ProjectDeletion
from activities.unified_pull_requests import UnifiedPullRequests
from activities.verification.fresh_commands import FreshCommands
from activities.verification.verifications import Verifications
from activities.webhooks.deliveries import Webhooks
from activities.webhooks.github_hints import GithubHints
from activities.work_chains import WorkChains
from activities.workspaces import Workspaces
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
