"""Issues on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from kit.schemas import Body, Read, UtcTimestamp, Wire
from models.issues.issue import Issue, IssuePriority, IssueStatus
from models.json_view import JsonView, example, unset_field

ISSUE = "iss_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
SESSION = "is_0198f2cab1c27d3e8f4a5b6c7d8e9f0b"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
MAX_ISSUE_IDS = 100
"""Issues of one request."""
EXAMPLE: JsonDict = {
    "id": ISSUE,
    "_id": ISSUE,
    "title": "Memory leak in WebSocket handler",
    "description": "Connection handlers not cleaned up on disconnect",
    "priority": "high",
    "suggestedPrompt": "Clean up event listeners on disconnect in src/ws/handler.ts",
    "status": "running",
    "sessionId": None,
    "runId": RUN,
    "chainId": None,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "updatedAt": "2026-01-15T10:04:00.000Z",
    "completedAt": None,
}

Title = Annotated[str, Field(min_length=1, max_length=500, pattern=r"\S")]
Text = Annotated[str, Field(max_length=100_000)]
IssueFilter = Literal["new", "running", "completed", "failed", "open"]
"""`open`: new or running."""


class IssueRead(Read):
    """A bug, an improvement or a task; its status is that of the run which is linked to it."""

    model_config = example(**EXAMPLE)
    title: str
    """What it is about, in a line."""
    description: str | None
    """What is wrong or wanted; null if nobody said more than the title."""
    priority: IssuePriority
    """How much it matters."""
    suggested_prompt: str | None
    """What a run of it is asked to do; null: its description, or else its title. A run of an issue that a
    scan reported is told that it is an agent's suggestion."""
    status: IssueStatus
    """How far it is, which its linked run decides."""
    session_id: str | None
    """The issue session that found it, or that it was attached to; null for one without."""
    run_id: str | None
    """The run that works on it, or worked on it last; null before there was one."""
    chain_id: str | None
    """The work chain that it was put into last; null if it is in none."""
    created_at: UtcTimestamp
    """When it was created."""
    updated_at: UtcTimestamp
    """When it was changed last, also by its run."""
    completed_at: UtcTimestamp | None
    """When it became completed or failed; null while it is new or running."""


class IssueCreate(Body):
    """What a client says to create an issue."""

    model_config = example(
        title="Memory leak in WebSocket handler",
        description="Connection handlers not cleaned up on disconnect",
        priority="high",
        suggestedPrompt="Clean up event listeners on disconnect in src/ws/handler.ts",
    )
    title: Title
    """What it is about, in a line; at most 500 characters."""
    description: Text | None = None
    """What is wrong or wanted."""
    priority: IssuePriority = IssuePriority.medium
    """How much it matters."""
    suggested_prompt: Text | None = None
    """What a run of it shall be asked to do; its description, or else its title, when it is left out."""
    session_id: str | None = None
    """The issue session that it shall belong to."""


class IssueUpdate(Body):
    """Only the given fields change; `null` clears the description and the prompt."""

    model_config = example(issueId=ISSUE, priority="critical", suggestedPrompt="Updated fix instructions")
    issue_id: str
    """The issue's id."""
    title: Title = unset_field()
    """What it is about, in a line; at most 500 characters."""
    description: Text | None = unset_field()
    """What is wrong or wanted."""
    priority: IssuePriority = unset_field()
    """How much it matters."""
    suggested_prompt: Text | None = unset_field()
    """What a run of it shall be asked to do."""


class IssueRef(Body):
    """Names an issue."""

    model_config = example(issueId=ISSUE)
    issue_id: str
    """The issue's id."""


class IssueLink(IssueRef):
    """An issue and the run that it shall follow."""

    model_config = example(issueId=ISSUE, runId=RUN)
    run_id: str
    """The run's id."""


class IssueRefs(Body):
    """Names several issues."""

    model_config = example(issueIds=[ISSUE])
    issue_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_ISSUE_IDS)]
    """The issues' ids, at most 100; unknown ones are passed over."""


class DeletedCount(Wire):
    """How many there were to delete."""

    model_config = example(count=3)
    count: int
    """How many were deleted."""


ISSUES = JsonView(IssueRead, Issue, "Issue")
