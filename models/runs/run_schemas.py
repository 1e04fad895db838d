"""Runs, their steps and what a client may say to them, on the wire."""

from typing import Annotated, Literal

from pydantic import AliasChoices, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UsdAmount, UtcTimestamp, Wire
from models.agent.session import FollowUp
from models.budgets.schemas import BUDGET, BudgetRead, budget_sql
from models.json_timeline import Timeline
from models.json_view import JsonView, example, json_object_sql, name_filter_sql
from models.runs.run import PrStatus, Run, RunSource, RunStatus
from models.runs.run_start import RunStart
from models.runs.run_step_schemas import STEP, STEPS, TOKENS, RankedBranch, RunStepRead, TokenUsage
from models.verification.verification_schemas import (
    VERIFICATION,
    VERIFICATION_SUMMARIES,
    VERIFICATIONS,
    VerificationRead,
)

WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
_RUN: JsonDict = dict(  # noqa: C408
    id=RUN,
    _id=RUN,
    runNumber=7,
    name="Add a dark mode toggle",
    status="running",
    source="api",
    prompt="Add a dark mode toggle to the settings page",
    githubRepoUrl="https://github.com/org/repo",
    repositorySlug="org/repo",
    branchName="codecourier/7-add-a-dark-mode-toggle",
    baseBranch="main",
    workflowId=WORKFLOW,
    workflow={"id": WORKFLOW, "_id": WORKFLOW, "name": "Build and check"},
    chainId=None,
    recurringTaskId=None,
    restartedFrom=None,
    continuesRunId=None,
    costUsd=0.42,
    tokenUsage={"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    currentIteration=1,
    maxIterations=3,
    currentStepLabel="Design",
    currentStepProgress="turn 4",
    lastProgressAt="2026-01-15T10:05:12.345Z",
    waiting=None,
    prStatus=None,
    prUrl=None,
    prNumber=None,
    ciChecks=None,
    verification=VERIFICATION,
    budget=BUDGET,
    scheduledFor=None,
    timezone=None,
    recurrencePattern=None,
    qualityScore=None,
    qualityReasons=None,
    ranking=None,
    error=None,
    createdAt="2026-01-15T10:04:00.000Z",
    startedAt="2026-01-15T10:04:00.250Z",
    completedAt=None,
)


class WorkflowReference(Read):
    """The workflow of a run."""

    name: str
    """The name that the workflow had when the run was started."""


class CiCheck(Wire):
    """One check of CI."""

    name: str
    """What checks."""
    status: str
    """How far it is: `pending`, `success` or `failure`."""
    conclusion: str | None = None
    """How it ended, `success` or `failure`; null until then."""
    url: str | None = None
    """Where its log is."""


class CiChecks(Wire):
    """What CI says of a commit."""

    status: str
    """What all of them say together: `none`, `pending`, `passed` or `failed`."""
    checked_at: str | None = None
    """When they were looked at last."""
    checks: list[CiCheck] = Field(default_factory=list)
    """Each of them."""


class Waiting(Wire):
    """What holds a run up just now."""

    code: str
    """A stable name of what holds it up, for programs."""
    message: str
    """The same in words."""
    until: str | None = None
    """When it goes on by itself, where that is known."""


class RunError(Wire):
    """Why something failed."""

    code: str
    """A stable name of what went wrong, for programs."""
    message: str | None
    """The same in words."""


class RunRead(Read):
    """One execution of a workflow on a repository."""

    model_config = example(**_RUN)

    run_number: int
    """Counts up in the project; the number that people see."""
    name: str
    """What people call it."""
    status: RunStatus
    """How far it is."""
    source: RunSource
    """What started it."""
    prompt: str
    """What was asked for."""
    github_repo_url: str
    """The repository that it works on."""
    repository_slug: str
    """The owner and the name of the repository."""
    branch_name: str | None
    """The branch that it pushes its work to."""
    base_branch: str | None
    """The branch that it works from and merges into; null for the default branch until it is known."""
    workflow_id: str
    """The workflow that it is a run of."""
    workflow: WorkflowReference
    """The workflow that it is a run of, by the name that it had then."""
    chain_id: str | None
    """The work chain or sprint chain that started it."""
    recurring_task_id: str | None
    """The recurring task that started it."""
    restarted_from: str | None
    """The run whose work it does again."""
    continues_run_id: str | None
    """The run whose work it continues, from its branch or its checkpoint; null when it began from scratch."""
    cost_usd: UsdAmount
    """What it has cost so far, in US dollars."""
    token_usage: TokenUsage
    """The tokens that its agents used so far."""
    current_iteration: int
    """Which iteration of an Iteration Block it is in."""
    max_iterations: int
    """How many iterations there may be at most."""
    current_step_label: str | None
    """The step that it is at."""
    current_step_progress: str | None
    """What happened in that step last."""
    last_progress_at: UtcTimestamp | None
    """When it last did anything."""
    waiting: Waiting | None
    """What holds it up just now; null while nothing does."""
    pr_status: PrStatus | None
    """What became of its pull request; null until there is something to say."""
    pr_url: str | None
    """Its pull request."""
    pr_number: int | None
    """The number of its pull request."""
    ci_checks: CiChecks | None
    """What CI says of its pull request."""
    verification: VerificationRead | None
    """What the workflow's `verify` command said of what was pushed last; null until that is run, and for
    workflows without one. Its `output` is whole in the run's details only."""
    budget: BudgetRead
    """What it may cost, has cost, and may cost just now."""
    scheduled_for: UtcTimestamp | None
    """The time that its recurring task was to start it at."""
    timezone: str | None
    """The time zone of that task."""
    recurrence_pattern: str | None
    """How often that task starts one."""
    quality_score: float | None
    """From 0 to 100, of the last evaluator or judge step."""
    quality_reasons: list[str] | None
    """What decided the score."""
    ranking: list[RankedBranch] | None
    """The branches that the last judge step compared, the best first."""
    error: RunError | None
    """Why it failed; null unless it has."""
    created_at: UtcTimestamp
    """When it was asked for."""
    started_at: UtcTimestamp | None
    """When it was begun."""
    completed_at: UtcTimestamp | None
    """When it ended."""


class RunDetail(RunRead):
    """A run with its steps, in the order in which they were worked on."""

    model_config = example(**_RUN, queuePosition=None, steps=[STEP], referenceImages=[])
    queue_position: int | None
    """Where it stands among the project's runs that wait for their turn, from 1 on; null when it does not."""
    steps: list[RunStepRead]
    """Its steps, each iteration by itself, in the order of their work."""
    reference_images: list[str]
    """The ids of the images that its agents are shown."""


class RunStartBody(RunStart):
    """What a client says to start a run."""

    model_config = example(
        workflowId=WORKFLOW,
        prompt="Add a dark mode toggle to the settings page",
        githubRepoUrl="https://github.com/org/repo",
    )


class RunRename(Body):
    """A run's new name."""

    model_config = example(runId=RUN, name="Dark mode, second try")
    run_id: Annotated[str, Field(validation_alias=AliasChoices("runId", "id"))]
    """The run; `id` is understood, too."""
    name: Title
    """The new name; the branch keeps the one that it has."""


class RunRestart(Body):
    """How an ended run is restarted."""

    model_config = example(fromScratch=True)
    from_scratch: bool = False
    """Do all of its work again; otherwise the new run goes on from what the ended one pushed, if it pushed
    anything and did not complete."""


class RunMessage(Body):
    """A message to the agent of a live run, told to it before its next turn."""

    model_config = example(content="Please keep the public API as it is.")
    content: Annotated[str, Field(min_length=1, max_length=100_000)]
    """What the agent is told."""


class RunMessageRead(Read):
    """A message to the agent of a run."""

    model_config = example(
        id="msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a",
        _id="msg_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a",
        runId=RUN,
        source="user",
        content="Please keep the public API as it is.",
        status="queued",
        createdAt="2026-01-15T10:06:00.000Z",
    )
    run_id: str
    """The run."""
    source: Literal["user", "platform"]
    """Who wrote it: a client, or the platform, of CI that failed or of questions that were answered."""
    content: str
    """What the agent is told."""
    status: Literal["queued", "delivered"]
    """Whether the agent has been told."""
    created_at: UtcTimestamp
    """When the message was sent."""


_RUN_VERIFICATION = ("verification.run_id = run.id", "number DESC")
_COLUMNS = {
    "verification": VERIFICATION_SUMMARIES.first(*_RUN_VERIFICATION),
    "budget": budget_sql("run", "run.cost_usd"),
    "workflow_id": "blueprint_id",
    "workflow": json_object_sql(id="blueprint_id", _id="blueprint_id", name="blueprint_name"),
    "token_usage": TOKENS,
    "error": (
        "CASE WHEN error_code IS NOT NULL"
        f" THEN {json_object_sql(code='error_code', message='error_message')} END"
    ),
}
_STEPS = STEPS.array("run_step.run_id = run.id", '"startedAt", id')
_IMAGES = "(SELECT coalesce(json_agg(file_id ORDER BY file_id), '[]') FROM job_file WHERE job_id = run.id)"
_FILTERS = {
    "workflow_id": "run.blueprint_id = %(workflow_id)s",
    "search": name_filter_sql("run"),
    "created_after": "run.created_at >= %(created_after)s::timestamptz",
    "created_before": "run.created_at < %(created_before)s::timestamptz",
}
RUNS = JsonView(RunRead, Run, "Run", shown=_COLUMNS, where=_FILTERS)
RUN_TIMELINE = Timeline(RunRead, Run, "Run", keys=("created_at", "id"), shown=_COLUMNS, where=_FILTERS)
"""For lists of the runs between two moments."""
_VERIFICATION = VERIFICATIONS.first(*_RUN_VERIFICATION)
# What `models.runs.run_queue.queue_position` counts, which a test holds it to.
_QUEUE_POSITION = """
    CASE WHEN run.status = 'pending' AND run.queued_at IS NOT NULL THEN (SELECT 1 + count(*) FROM run AS ahead
        WHERE ahead.project_id = run.project_id AND ahead.status = 'pending'
            AND (ahead.queued_at IS NOT NULL OR ahead.created_at > now() - interval '5 minutes')
            AND (ahead.temporal_namespace IS NULL OR ahead.temporal_namespace = run.temporal_namespace)
            AND (ahead.priority, ahead.id) < (run.priority, run.id)) END
"""
_DETAILS = {
    "steps": _STEPS,
    "reference_images": _IMAGES,
    "verification": _VERIFICATION,
    "queue_position": _QUEUE_POSITION,
}
RUN_DETAILS = JsonView(RunDetail, Run, "Run", shown={**_COLUMNS, **_DETAILS})
RUN_MESSAGES = JsonView(RunMessageRead, FollowUp, "Message", shown={"run_id": "job_id"})
