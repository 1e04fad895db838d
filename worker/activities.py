"""Every activity that a worker carries out, with the gateways and rows that it needs."""

import inspect
from collections.abc import Callable

from temporalio import activity
from temporalio.client import Client

from activities.agent_turns import AgentTurns
from activities.answering_sessions import AnsweringSessions
from activities.chains import Chains
from activities.ci import Ci
from activities.delivery import Delivery
from activities.desk import Desk
from activities.integrating import Integrating
from activities.integrations import Integrations
from activities.issue_sessions import IssueSessions
from activities.jobs import JobActivities
from activities.merge_jobs import MergeJobs
from activities.outside import Outside
from activities.pull_request_merging import PullRequestMerging
from activities.recurring_tasks import RecurringTasks
from activities.runs import RunActivities
from activities.sandboxes import SandboxActivities
from activities.session_questions import SessionQuestions
from activities.sprint_chains import SprintChains
from activities.steps import StepActivities
from activities.sweep import Sweep
from activities.told_runs import ToldRuns
from activities.tool_calls import ToolCalls
from activities.unified_pull_requests import UnifiedPullRequests
from activities.work_chains import WorkChains
from activities.workspaces import Workspaces
from kit.database import Database
from kit.settings import Settings

Activity = Callable[..., object]


def all_activities(client: Client, settings: Settings, database: Database) -> list[Activity]:
    outside, desk = Outside(settings, database), Desk()
    rooms: list[object] = [
        JobActivities(database), RunActivities(database), StepActivities(database),
        SandboxActivities(database, outside), Workspaces(database, outside),
        AgentTurns(database, outside, desk), ToolCalls(database, outside, desk),
        Delivery(database, outside), Ci(database, outside),
        IssueSessions(database), AnsweringSessions(database), SessionQuestions(database),
        ToldRuns(database, client),
        Chains(database), SprintChains(database, settings), WorkChains(database, settings),
        Integrations(database), Integrating(database, outside), UnifiedPullRequests(database, outside),
        MergeJobs(database), PullRequestMerging(database, outside),
        RecurringTasks(database, settings, client), Sweep(database, client, outside),
    ]  # fmt: skip
    return [each for room in rooms for each in activities_of(room)]


def activities_of(room: object) -> list[Activity]:
    """Its methods that are marked as activities."""
    methods = [method for _, method in inspect.getmembers(room, inspect.ismethod)]
    return [each for each in methods if activity._Definition.from_callable(each)]
