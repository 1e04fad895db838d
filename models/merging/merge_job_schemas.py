"""Merge jobs on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, UsdAmount, UtcTimestamp, Wire
from models.budgets.schemas import BUDGET, BudgetRead, budget_sql
from models.json_view import JsonView, example, json_object_sql
from models.merging.combined_merge_start import MergeStart
from models.merging.merge_job import MergeJob, MergeKind, MergeStatus, MergeStrategy
from models.runs.run_schemas import RUN, RunError, Waiting
from models.runs.run_step_schemas import TOKENS, TokenUsage

JOB = "mj_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
_URL = "https://github.com/org/repo/pull/42"
_SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
_JOB: JsonDict = {
    "id": JOB,
    "_id": JOB,
    "kind": "pull_request",
    "name": "Merge #42",
    "status": "running",
    "runId": RUN,
    "repositorySlug": "org/repo",
    "pullRequests": [{"prUrl": _URL, "prNumber": 42}],
    "baseBranch": "main",
    "prUrl": _URL,
    "conflicts": [],
    "mergeStrategy": "squash",
    "skipCiCheck": False,
    "requestedBy": "user_0198f2c1b1c27d3e8f4a5b6c7d8e9f0a",
    "headSha": _SHA,
    "mergeSha": None,
    "currentStepProgress": None,
    "costUsd": 0.0,
    "budget": {**BUDGET, "spentUsd": 0.0},
    "tokenUsage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    "waiting": {"code": "BLOCKED_ON_CI", "message": "CI is at work: test."},
    "error": None,
    "createdAt": "2026-01-15T10:30:00.000Z",
    "startedAt": "2026-01-15T10:30:00.100Z",
    "completedAt": None,
}


class PullRequestReference(Wire):
    """A pull request of a merge job, and what became of it."""

    pr_url: str
    """Its address on GitHub."""
    pr_number: int
    """Its number."""
    title: str | None = None
    """Its title; null until it is settled, and for the merge of one run's pull request."""
    outcome: Literal["merged", "left_out"] | None = None
    """Of one of several; None before it is settled."""


class SkippedPullRequest(Wire):
    """One that could not be merged, and why."""

    pr_url: str
    """Its address on GitHub."""
    pr_number: int
    """Its number."""
    message: str
    """Why it could not be merged."""


class MergeJobRead(Read):
    """Pull requests on their way into a base branch."""

    model_config = example(**_JOB)
    kind: MergeKind
    """Whether it merges one pull request as it is, or several into one."""
    name: str
    """What people call it."""
    status: MergeStatus
    """How far it is."""
    run_id: str | None
    """The run whose pull request it merges; null where it merges several into one."""
    repository_slug: str
    """The owner and the name of the repository."""
    pull_requests: list[PullRequestReference]
    """What is to be merged, in this order, and what became of each."""
    base_branch: str | None
    """The branch that the result goes to; null until it is known, if none was named."""
    pr_url: str | None
    """The pull request that holds the result: the run's own, or the one that was opened for several; null
    until that is open."""
    conflicts: list[SkippedPullRequest]
    """The pull requests that were left out, and why."""
    merge_strategy: MergeStrategy
    """How GitHub merges the pull request of a run."""
    skip_ci_check: bool
    """Whether it merges whatever CI says."""
    requested_by: str
    """The member who asked for it."""
    head_sha: str | None
    """The commit whose checks were read last, or that the new pull request has; null until there is one."""
    merge_sha: str | None
    """The commit on the base branch that merged it; null until then, and where several are merged into
    one."""
    current_step_progress: str | None
    """What its agent did last; null before it begins and once it has ended."""
    waiting: Waiting | None
    """What holds it up just now; null while nothing does."""
    cost_usd: UsdAmount
    """What its models have cost so far, in US dollars."""
    budget: BudgetRead
    """What its agents may cost, have cost, and may cost just now."""
    token_usage: TokenUsage
    """The tokens that its agent used so far."""
    error: RunError | None
    """Why it failed; null unless it has."""
    created_at: UtcTimestamp
    """When it was asked for."""
    started_at: UtcTimestamp | None
    """When it was begun; null until then."""
    completed_at: UtcTimestamp | None
    """When it ended, whatever came of it; null until then."""


class PullRequestMergeRead(MergeJobRead):
    """The merge of one pull request; `mergeJobId` is the job's id."""

    model_config = example(**_JOB, mergeJobId=JOB)
    merge_job_id: str
    """The same as `id`."""


class PullRequestMerge(Body):
    """`skipCiCheck` merges whatever CI says; it is recorded with who asked for it."""

    model_config = example(mergeStrategy="squash", skipCiCheck=False)
    merge_strategy: MergeStrategy = MergeStrategy.squash
    """How GitHub shall merge it."""
    skip_ci_check: Annotated[bool, Field(strict=True)] = False
    """Whether to merge whatever CI says; rules of the repository hold all the same."""


class MergeStartBody(MergeStart):
    """What a client says to merge several pull requests of one repository into one."""

    model_config = example(
        pullRequests=[
            {"prUrl": "https://github.com/org/repo/pull/1", "prNumber": 1},
            {"prUrl": "https://github.com/org/repo/pull/2", "prNumber": 2},
        ],
        baseBranch="main",
        config={"checkCommand": "make test"},
    )


_ERROR = (
    f"CASE WHEN error_code IS NOT NULL THEN {json_object_sql(code='error_code', message='error_message')} END"
)
_COLUMNS = {"budget": budget_sql("merge_job", "merge_job.cost_usd"), "error": _ERROR, "token_usage": TOKENS}
MERGE_JOBS = JsonView(MergeJobRead, MergeJob, "Merge job", shown=_COLUMNS)
PULL_REQUEST_MERGES = JsonView(
    PullRequestMergeRead, MergeJob, "Merge job", shown={**_COLUMNS, "merge_job_id": "merge_job.id"}
)
