"""Every workflow that a worker plays."""

from workflows.agent_session import AgentSessionWorkflow
from workflows.answering_session import AnsweringSessionWorkflow
from workflows.issue_session import IssueSessionWorkflow
from workflows.merge import MergeWorkflow
from workflows.pull_request_merge import PullRequestMergeWorkflow
from workflows.recurring_task import RecurringTaskWorkflow
from workflows.run import RunWorkflow
from workflows.sprint_chain import SprintChainWorkflow
from workflows.sweep import SweepWorkflow
from workflows.work_chain import WorkChainWorkflow

WORKFLOWS: list[type] = [
    RunWorkflow,
    AgentSessionWorkflow,
    AnsweringSessionWorkflow,
    IssueSessionWorkflow,
    MergeWorkflow,
    PullRequestMergeWorkflow,
    RecurringTaskWorkflow,
    SprintChainWorkflow,
    WorkChainWorkflow,
    SweepWorkflow,
]
