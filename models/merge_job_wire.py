"""Merge jobs on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Money, Read, Wire
from models.merge_job import MergeJob, MergeKind, MergeStatus, MergeStrategy
from models.merge_start import MergeStart
from models.run_step_wire import TOKENS, TokenUsage
from models.run_wire import RUN, RunError, Waiting
from models.view import View, example, pairs

JOB = "mj_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
_URL = "https://github.com/org/repo/pull/42"
_SHA = "6dcb09b5b57875f334f61aebed695e2e4193db5e"
_JOB: JsonDict = {
    "id": JOB, "_id": JOB, "kind": "pull_request", "name": "Merge #42", "status": "running", "runId": RUN,
    "repositorySlug": "org/repo", "pullRequests": [{"prUrl": _URL, "prNumber": 42}], "baseBranch": "main",
    "prUrl": _URL, "conflicts": [], "mergeStrategy": "squash", "skipCiCheck": False,
    "requestedBy": "user_0198f2c1b1c27d3e8f4a5b6c7d8e9f0a", "headSha": _SHA, "mergeSha": None,
    "currentStepProgress": None, "costUsd": 0.0,
    "tokenUsage": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    "waiting": {"code": "BLOCKED_ON_CI", "message": "CI is at work: test."}, "error": None,
    "createdAt": "2026-01-15T10:30:00.000Z", "startedAt": "2026-01-15T10:30:00.100Z", "completedAt": None,
}  # fmt: skip


class PullRequestReference(Wire):
    pr_url: str
    pr_number: int
    title: str | None = None
    outcome: Literal["merged", "left_out"] | None = None
    """Of one of several; None before it is settled."""


class PullRequestLeftOut(Wire):
    """One that could not be merged, and why."""

    pr_url: str
    pr_number: int
    message: str


class MergeJobRead(Read):
    """Pull requests on their way into a base branch."""

    model_config = example(**_JOB)
    kind: MergeKind
    name: str
    status: MergeStatus
    run_id: str | None
    repository_slug: str
    pull_requests: list[PullRequestReference]
    base_branch: str | None
    pr_url: str | None
    conflicts: list[PullRequestLeftOut]
    merge_strategy: MergeStrategy
    skip_ci_check: bool
    requested_by: str
    head_sha: str | None
    merge_sha: str | None
    current_step_progress: str | None
    waiting: Waiting | None
    cost_usd: Money
    token_usage: TokenUsage
    error: RunError | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None


class PullRequestMergeRead(MergeJobRead):
    """The merge of one pull request; `mergeJobId` is the job's id."""

    model_config = example(**_JOB, mergeJobId=JOB)
    merge_job_id: str


class PullRequestMerge(Body):
    """`skipCiCheck` merges whatever CI says; it is recorded with who asked for it."""

    model_config = example(mergeStrategy="squash", skipCiCheck=False)
    merge_strategy: MergeStrategy = MergeStrategy.squash
    skip_ci_check: Annotated[bool, Field(strict=True)] = False


class MergeStartBody(MergeStart):
    model_config = example(
        pullRequests=[
            {"prUrl": "https://github.com/org/repo/pull/1", "prNumber": 1},
            {"prUrl": "https://github.com/org/repo/pull/2", "prNumber": 2},
        ],
        baseBranch="main", config={"checkCommand": "make test"},
    )  # fmt: skip


_ERROR = f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END"
_COLUMNS = {"error": _ERROR, "token_usage": TOKENS}
MERGE_JOBS = View(MergeJobRead, MergeJob, "Merge job", shown=_COLUMNS)
PULL_REQUEST_MERGES = View(
    PullRequestMergeRead, MergeJob, "Merge job", shown={**_COLUMNS, "merge_job_id": "merge_job.id"}
)
