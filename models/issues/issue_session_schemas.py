"""Issue sessions on the wire."""

from typing import Annotated

from pydantic import AliasChoices, Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, Title, UsdAmount, UtcTimestamp
from models.issues.issue_session import IssueSession, IssueSessionStatus
from models.issues.issue_session_start import IssueSessionStart
from models.json_view import JsonView, example, json_object_sql
from models.runs.run_schemas import RunError, Waiting
from models.runs.run_step_schemas import TOKENS, TokenUsage

SESSION = "is_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
_SESSION: JsonDict = {
    "id": SESSION,
    "_id": SESSION,
    "name": "Security audit",
    "status": "completed",
    "prompt": "Scan for security vulnerabilities and performance issues",
    "githubRepoUrl": "https://github.com/org/repo",
    "repositorySlug": "org/repo",
    "templateId": "base",
    "memoryMb": 4096,
    "cpuCount": None,
    "timeoutMs": 600_000,
    "issueCount": 3,
    "summary": "3 issues found. I read the HTTP layer and its tests.",
    "questions": ["Is the admin port reachable from outside?"],
    "assumptions": ["Sessions are only ever served over TLS."],
    "currentStepProgress": None,
    "lastProgressAt": "2026-01-15T10:07:12.345Z",
    "waiting": None,
    "costUsd": 0.42,
    "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    "error": None,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "startedAt": "2026-01-15T10:00:00.100Z",
    "completedAt": "2026-01-15T10:07:13.000Z",
}


class IssueSessionRead(Read):
    """A scan of the project's repository; its issues are listed by `GET /issues/list?sessionId=…`."""

    model_config = example(**_SESSION)
    name: str
    """What people call it."""
    status: IssueSessionStatus
    """How far it is."""
    prompt: str
    """What it was asked to look for."""
    github_repo_url: str
    """The repository that it reads."""
    repository_slug: str
    """The owner and the name of the repository."""
    template_id: str
    """The template that its sandbox is made from."""
    memory_mb: int | None
    """The memory in MiB that the template of its sandbox has to give; null for any."""
    cpu_count: int | None
    """The processors that the template of its sandbox has to give; null for any."""
    timeout_ms: int
    """How much active time its agent may take, in milliseconds; waits and outages are not counted."""
    issue_count: int
    """How many issues it found so far; one that is found twice counts once."""
    summary: str | None
    """What its agent looked at and found; null until it is completed."""
    questions: list[str]
    """What only the people of the project can answer, in its agent's words; empty until it is completed."""
    assumptions: list[str]
    """What its agent took for granted; empty until it is completed."""
    current_step_progress: str | None
    """What its agent did last; null before it begins and once it has ended."""
    last_progress_at: UtcTimestamp | None
    """When it last did anything; null before it begins."""
    waiting: Waiting | None
    """What holds it up just now; null while nothing does."""
    cost_usd: UsdAmount
    """What its models have cost so far, in US dollars."""
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


class IssueSessionStartBody(IssueSessionStart):
    """What a client says to start an issue session; sizes and the time limit are those of its sandbox."""

    model_config = example(
        prompt="Scan for security vulnerabilities and performance issues",
        templateId="base",
        memoryMb=4096,
        timeoutMs=600_000,
    )


class IssueSessionId(Body):
    """Names an issue session."""

    model_config = example(sessionId=SESSION)
    session_id: Annotated[str, Field(validation_alias=AliasChoices("sessionId", "id"))]
    """The issue session's id."""

    @property
    def id(self) -> str:
        return self.session_id


class IssueSessionRename(IssueSessionId):
    """An issue session and its new name."""

    model_config = example(sessionId=SESSION, name="Security audit")
    name: Title
    """The new name."""


class IssueSessionIds(Body):
    """Names several issue sessions."""

    model_config = example(sessionIds=[SESSION])
    session_ids: Annotated[list[str], Field(min_length=1, max_length=100)]
    """The issue sessions' ids; unknown ones are passed over."""

    @property
    def ids(self) -> list[str]:
        return self.session_ids


_COLUMNS = {
    "token_usage": TOKENS,
    "error": (
        "CASE WHEN error_code IS NOT NULL"
        f" THEN {json_object_sql(code='error_code', message='error_message')} END"
    ),
}
ISSUE_SESSIONS = JsonView(IssueSessionRead, IssueSession, "Issue session", shown=_COLUMNS)
