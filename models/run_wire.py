"""Runs, their steps and what a client may say to them, on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Money, Read, Wire
from models.agent_session import FollowUp
from models.run import PrStatus, Run, RunSource, RunStatus
from models.run_start import RunStart
from models.run_step_wire import STEP, STEPS, TOKENS, RunStepRead, TokenUsage
from models.view import View, example, pairs

WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
_RUN: JsonDict = dict(  # noqa: C408
    id=RUN, _id=RUN, runNumber=7, name="Add a dark mode toggle", status="running", source="api",
    prompt="Add a dark mode toggle to the settings page", githubRepoUrl="https://github.com/org/repo",
    repositorySlug="org/repo", branchName="codecourier/7-add-a-dark-mode-toggle", baseBranch="main",
    workflowId=WORKFLOW, workflow={"id": WORKFLOW, "_id": WORKFLOW, "name": "Build and check"},
    chainId=None, recurringTaskId=None, restartedFrom=None, costUsd=0.42,
    tokenUsage={"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    currentIteration=1, maxIterations=3, currentStepLabel="Design", currentStepProgress="turn 4",
    lastProgressAt="2026-01-15T10:05:12.345Z", waiting=None, prStatus=None, prUrl=None, prNumber=None,
    ciChecks=None, scheduledFor=None, timezone=None, recurrencePattern=None, qualityScore=None,
    error=None,
    createdAt="2026-01-15T10:04:00.000Z", startedAt="2026-01-15T10:04:00.250Z", completedAt=None,
)  # fmt: skip


class WorkflowReference(Read):
    name: str


class CiCheck(Wire):
    name: str
    status: str
    conclusion: str | None = None
    url: str | None = None


class CiChecks(Wire):
    status: str
    checked_at: str | None = None
    checks: list[CiCheck] = Field(default_factory=list)


class Waiting(Wire):
    """What holds a run up just now."""

    code: str
    message: str
    until: str | None = None


class RunError(Wire):
    code: str
    message: str | None


class RunRead(Read):
    """One execution of a workflow on a repository."""

    model_config = example(**_RUN)

    run_number: int
    name: str
    status: RunStatus
    source: RunSource
    prompt: str
    github_repo_url: str
    repository_slug: str
    branch_name: str | None
    base_branch: str | None
    workflow_id: str
    workflow: WorkflowReference
    chain_id: str | None
    recurring_task_id: str | None
    restarted_from: str | None
    cost_usd: Money
    token_usage: TokenUsage
    current_iteration: int
    max_iterations: int
    current_step_label: str | None
    current_step_progress: str | None
    last_progress_at: Moment | None
    waiting: Waiting | None
    pr_status: PrStatus | None
    pr_url: str | None
    pr_number: int | None
    ci_checks: CiChecks | None
    scheduled_for: Moment | None
    timezone: str | None
    recurrence_pattern: str | None
    quality_score: float | None
    error: RunError | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None


class RunDetail(RunRead):
    """A run with its steps, in the order in which they were worked on."""

    model_config = example(**_RUN, steps=[STEP])
    steps: list[RunStepRead]


class RunStartBody(RunStart):
    """What a client says to start a run."""

    model_config = example(
        workflowId=WORKFLOW,
        prompt="Add a dark mode toggle to the settings page",
        githubRepoUrl="https://github.com/org/repo",
    )


class RunMessage(Body):
    """A message to the agent of a live run, told to it before its next turn."""

    model_config = example(content="Please keep the public API as it is.")
    content: Annotated[str, Field(min_length=1, max_length=100_000)]


class RunMessageRead(Read):
    model_config = example(
        id="msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a", _id="msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a", runId=RUN,
        content="Please keep the public API as it is.", status="queued", createdAt="2026-01-15T10:06:00.000Z",
    )  # fmt: skip
    run_id: str
    content: str
    status: Literal["queued", "delivered"]
    created_at: Moment


_COLUMNS = {
    "workflow_id": "blueprint_id",
    "workflow": pairs(id="blueprint_id", _id="blueprint_id", name="blueprint_name"),
    "token_usage": TOKENS,
    "error": f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END",
}
_STEPS = STEPS.array("run_step.run_id = run.id", '"startedAt", id')
RUNS = View(RunRead, Run, "Run", shown=_COLUMNS)
RUN_DETAILS = View(RunDetail, Run, "Run", shown={**_COLUMNS, "steps": _STEPS})
RUN_MESSAGES = View(RunMessageRead, FollowUp, "Message")
