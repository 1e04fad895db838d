"""Issue sessions on the wire."""

from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Money, Read
from models.issue_session import IssueSession, IssueSessionStatus
from models.issue_session_start import IssueSessionStart
from models.run_step_wire import TOKENS, TokenUsage
from models.run_wire import RunError, Waiting
from models.view import View, example, pairs

SESSION = "is_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
_SESSION: JsonDict = {
    "id": SESSION, "_id": SESSION, "name": "Security audit", "status": "completed",
    "prompt": "Scan for security vulnerabilities and performance issues",
    "githubRepoUrl": "https://github.com/org/repo", "repositorySlug": "org/repo", "templateId": "base",
    "memoryMb": 4096, "cpuCount": None, "timeoutMs": 600_000, "issueCount": 3,
    "summary": "3 issues found. I read the HTTP layer and its tests.",
    "questions": ["Is the admin port reachable from outside?"],
    "assumptions": ["Sessions are only ever served over TLS."],
    "currentStepProgress": None, "lastProgressAt": "2026-01-15T10:07:12.345Z", "waiting": None,
    "costUsd": 0.42, "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    "error": None, "createdAt": "2026-01-15T10:00:00.000Z", "startedAt": "2026-01-15T10:00:00.100Z",
    "completedAt": "2026-01-15T10:07:13.000Z",
}  # fmt: skip


class IssueSessionRead(Read):
    """A scan of the project's repository; its issues are listed by `GET /issues/list?sessionId=…`."""

    model_config = example(**_SESSION)
    name: str
    status: IssueSessionStatus
    prompt: str
    github_repo_url: str
    repository_slug: str
    template_id: str
    memory_mb: int | None
    cpu_count: int | None
    timeout_ms: int
    issue_count: int
    summary: str | None
    questions: list[str]
    assumptions: list[str]
    current_step_progress: str | None
    last_progress_at: Moment | None
    waiting: Waiting | None
    cost_usd: Money
    token_usage: TokenUsage
    error: RunError | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None


class IssueSessionStartBody(IssueSessionStart):
    """What a client says to start an issue session; sizes and the time limit are those of its sandbox."""

    model_config = example(
        prompt="Scan for security vulnerabilities and performance issues", templateId="base", memoryMb=4096,
        timeoutMs=600_000,
    )  # fmt: skip


class IssueSessionId(Body):
    model_config = example(sessionId=SESSION)
    session_id: str


class IssueSessionRename(IssueSessionId):
    model_config = example(sessionId=SESSION, name="Security audit")
    name: Annotated[str, Field(min_length=1, max_length=200)]


class IssueSessionIds(Body):
    model_config = example(sessionIds=[SESSION])
    session_ids: Annotated[list[str], Field(min_length=1, max_length=100)]


_COLUMNS = {
    "token_usage": TOKENS,
    "error": f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END",
}
ISSUE_SESSIONS = View(IssueSessionRead, IssueSession, "Issue session", shown=_COLUMNS)
