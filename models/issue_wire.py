"""Issues on the wire."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read, Wire
from models.issue import Issue, IssuePriority, IssueStatus
from models.view import View, example, unchanged

ISSUE = "iss_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
SESSION = "is_0198f2cab1c27d3e8f4a5b6c7d8e9f0b"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
MOST = 100
"""Issues of one request."""
EXAMPLE: JsonDict = {
    "id": ISSUE, "_id": ISSUE, "title": "Memory leak in WebSocket handler",
    "description": "Connection handlers not cleaned up on disconnect", "priority": "high",
    "suggestedPrompt": "Clean up event listeners on disconnect in src/ws/handler.ts", "status": "running",
    "sessionId": None, "runId": RUN, "chainId": None, "createdAt": "2026-01-15T10:00:00.000Z",
    "updatedAt": "2026-01-15T10:04:00.000Z", "completedAt": None,
}  # fmt: skip

Title = Annotated[str, Field(min_length=1, max_length=500)]
Text = Annotated[str, Field(max_length=100_000)]
IssueFilter = Literal["new", "running", "completed", "failed", "open"]
"""`open`: new or running."""


class IssueRead(Read):
    """A bug, an improvement or a task; its status is that of the run which is linked to it."""

    model_config = example(**EXAMPLE)
    title: str
    description: str | None
    priority: IssuePriority
    suggested_prompt: str | None
    status: IssueStatus
    session_id: str | None
    run_id: str | None
    chain_id: str | None
    created_at: Moment
    updated_at: Moment
    completed_at: Moment | None


class IssueCreate(Body):
    model_config = example(
        title="Memory leak in WebSocket handler",
        description="Connection handlers not cleaned up on disconnect",
        priority="high",
        suggestedPrompt="Clean up event listeners on disconnect in src/ws/handler.ts",
    )
    title: Title
    description: Text | None = None
    priority: IssuePriority = IssuePriority.medium
    suggested_prompt: Text | None = None
    session_id: str | None = None


class IssueUpdate(Body):
    """Only the given fields change; `null` clears the description and the prompt."""

    model_config = example(issueId=ISSUE, priority="critical", suggestedPrompt="Updated fix instructions")
    issue_id: str
    title: Title = unchanged()
    description: Text | None = unchanged()
    priority: IssuePriority = unchanged()
    suggested_prompt: Text | None = unchanged()


class IssueRef(Body):
    model_config = example(issueId=ISSUE)
    issue_id: str


class IssueLink(IssueRef):
    model_config = example(issueId=ISSUE, runId=RUN)
    run_id: str


class IssueRefs(Body):
    model_config = example(issueIds=[ISSUE])
    issue_ids: Annotated[list[str], Field(min_length=1, max_length=MOST)]


class DeletedCount(Wire):
    """How many there were to delete."""

    model_config = example(count=3)
    count: int


ISSUES = View(IssueRead, Issue, "Issue")
