"""What clients do in sandboxes: messages, files, changes and previews, on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from kit.schemas import Body, Read, Title, UtcTimestamp, Wire
from models.json_view import example
from models.runs.run_schemas import RunMessage
from models.sandboxes.sandbox_create import SandboxCreate
from models.sandboxes.sandbox_schemas import MESSAGE, RUN, SANDBOX

_NOW = "2026-01-15T10:05:00.000Z"
_SHA = "2f0d6a4be2f8f2b7c1b6f0f3a54a2c1d9e8f7a6b"
_REPOSITORY = "/home/user/repo"


class SandboxCreateBody(SandboxCreate):
    """What a client says to create a sandbox; everything has a default."""

    model_config = example(
        name="Try the new router",
        githubRepoUrl="https://github.com/org/repo",
        baseBranch="main",
        timeoutMs=3_600_000,
    )


class SandboxId(Body):
    """Names a sandbox."""

    model_config = example(sandboxId=SANDBOX)
    sandbox_id: str
    """The sandbox's id."""


class SandboxRename(SandboxId):
    """A sandbox and its new name."""

    model_config = example(sandboxId=SANDBOX, name="Try the new router")
    name: Title
    """The new name."""


class SandboxMessage(SandboxId, RunMessage):
    """A message to the agent in a sandbox."""

    model_config = example(sandboxId=SANDBOX, content="Please keep the public API as it is.")


class SandboxMessageRead(Read):
    """A message that waits for the agent's next turn; its answer is among the sandbox's messages."""

    model_config = example(
        id=MESSAGE,
        _id=MESSAGE,
        sandboxId=SANDBOX,
        runId=RUN,
        status="queued",
        createdAt=_NOW,
        content="Please keep the public API as it is.",
    )
    sandbox_id: str
    """The sandbox in which the agent works."""
    run_id: str | None
    """The run whose agent it is for; null in a sandbox of one's own."""
    content: str
    """The message."""
    status: Literal["queued", "delivered"]
    """`delivered` once the agent was told."""
    created_at: UtcTimestamp
    """When it was sent."""


class FileEntryRead(Wire):
    """One entry of a directory in a sandbox."""

    model_config = example(
        name="app.py", path=f"{_REPOSITORY}/src/app.py", type="file", size=1280, modifiedAt=_NOW
    )
    name: str
    """Its name in the directory."""
    path: str
    """Its whole path in the sandbox."""
    type: Literal["file", "directory", "symlink", "other"]
    """What it is; links are not followed."""
    size: int
    """In bytes."""
    modified_at: UtcTimestamp
    """When it was last changed."""


class FileContentRead(Wire):
    """The content of a file in a sandbox, secrets masked."""

    model_config = example(
        path=f"{_REPOSITORY}/README.md",
        size=9,
        encoding="utf-8",
        content="# Hello\n",
        truncated=False,
        modifiedAt=_NOW,
    )
    path: str
    """Its whole path in the sandbox."""
    size: int
    """Of the whole file, in bytes."""
    encoding: Literal["utf-8", "base64"]
    """How `content` is written: text as it is, anything else in base64."""
    content: str
    """At most the first 1 MiB."""
    truncated: bool
    """Whether the file goes on after `content`."""
    modified_at: UtcTimestamp
    """When it was last changed."""


class ChangedFileRead(Wire):
    """How much of one file has changed."""

    path: str
    """Its path in the repository."""
    additions: int | None
    """Lines added; null for a binary file."""
    deletions: int | None
    """Lines deleted; null for a binary file."""


class SandboxDiffRead(Wire):
    """The work tree of a sandbox's repository against a commit, untracked files included, secrets masked."""

    model_config = example(
        base=_SHA,
        head=_SHA,
        additions=1,
        deletions=0,
        truncated=False,
        files=[{"path": "notes.txt", "additions": 1, "deletions": 0}],
        patch="diff --git a/notes.txt b/notes.txt\nnew file mode 100644\n--- /dev/null\n+++ b/notes.txt\n"
        "@@ -0,0 +1 @@\n+Remember the milk.\n",
    )
    base: str
    """The commit that is compared with."""
    head: str | None
    """The commit that is checked out."""
    additions: int
    """Lines added in all."""
    deletions: int
    """Lines deleted in all."""
    files: list[ChangedFileRead]
    """The files that differ, at most 3,000; fewer where their paths are very long."""
    patch: str
    """The unified diff, at most 512 KiB of it."""
    truncated: bool
    """Whether the diff goes on after `patch`."""


class PreviewStart(SandboxId):
    """A server to start in a sandbox."""

    model_config = example(sandboxId=SANDBOX, command="npm run dev -- --port 3000", port=3000)
    command: Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"\S")]
    """A line of bash that serves until it is stopped; it runs in the repository, with `PORT` set."""
    port: Annotated[int, Field(ge=1024, le=65535)]
    """The port that it listens on."""


class PreviewRead(Wire):
    """What the preview server of a sandbox is doing, as it is found now."""

    model_config = example(
        sandboxId=SANDBOX,
        state="running",
        command="npm run dev -- --port 3000",
        port=3000,
        url="https://3000-i2ryc4s8qyhb4rj5a9x1o.e2b.app",
        exitCode=None,
        startedAt=_NOW,
        output=["> dev", "> vite --port 3000"],
    )
    sandbox_id: str
    """The sandbox that it runs in."""
    state: Literal["stopped", "starting", "running", "failed"]
    """`starting` until something listens on the port; `failed` when the command ended by itself."""
    command: str | None
    """What was started last; null before anything was."""
    port: int | None
    """The port that it listens on."""
    url: str | None
    """Where it is reached from outside, while it is starting or running."""
    exit_code: int | None
    """Of the command, once it has ended by itself."""
    started_at: UtcTimestamp | None
    """When it was started."""
    output: list[str]
    """The last lines of what it printed, at most 100."""
