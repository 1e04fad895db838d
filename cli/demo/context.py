"""What the parts of the whole demo share: who they ask, what came before, and how they tell of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
from pydantic import JsonValue
from rich.text import Text

from cli.console import out
from cli.demo.client import Client, Json
from cli.demo.run_follower import follow_run
from local.stack.state import StackFile

PRINTED_EVENTS = (
    "step.started",
    "step.completed",
    "branch.pushed",
    "pr.created",
    "run.completed",
    "run.failed",
)
"""Events that are printed of a run within something larger."""
POLL_SECONDS = 0.2
ROW_TIMEOUT_SECONDS = 900.0
"""Seconds between two looks at a row, and for all of them: a real model takes its time."""


class DemoFailed(Exception):
    """A part did not end as it should have; the message says how."""


@dataclass
class DemoContext:
    """The stack, and what the parts left for those after them.

    run: of the demo's beginning, with its pull request.
    """

    client: Client
    forge: httpx.AsyncClient
    file: StackFile
    logs: Path
    workflow_id: str
    run: Json
    scan: Json = field(default_factory=dict)
    issues: list[Json] = field(default_factory=list)
    sprints: Json = field(default_factory=dict)
    report: Json = field(default_factory=dict)
    progress: JsonValue = None
    """What was told last of a row's progress."""
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    """When the part did that is being played."""

    @property
    def branch(self) -> str | None:
        """Of the demo's first pull request, on which others are put; None, the default one, without it."""
        return str(self.run["branchName"]) if self.run["prUrl"] else None

    @property
    def seconds(self) -> float:
        """Since the part began."""
        return (datetime.now(UTC) - self.since).total_seconds()

    def print_line(self, what: str, words: object = "", style: str = "cyan") -> None:
        """A line of progress, with the seconds since the part began."""
        text = Text(f"{self.seconds:6.1f} s  ", style="dim")
        out.print(text.append(f"{what:<18}", style=style).append(f" {words}".rstrip(), style="default"))

    def print_result(self, what: str, words: object) -> None:
        out.print(f"{what:<13} {words}", markup=False)

    def print_temporal_link(self, workflow_id: object) -> None:
        """Where Temporal's Web UI shows a workflow."""
        if self.file.temporal_ui_url:
            page = f"namespaces/{self.file.temporal_namespace}/workflows/{workflow_id}"
            self.print_result("Temporal UI", f"{self.file.temporal_ui_url}/{page}")

    async def get(self, path: str, **query: str) -> Json:
        return cast("Json", await self.client.get(path, **query))

    async def post(self, path: str, body: Json) -> Json:
        return cast("Json", await self.client.post(path, body))

    async def wait_until(self, read: Callable[[], Awaitable[Json]], holds: Callable[[Json], object]) -> Json:
        """A row as soon as it holds; what its agent is about is told meanwhile.  Raises `DemoFailed`."""
        deadline = time.monotonic() + ROW_TIMEOUT_SECONDS
        while True:
            row = await read()
            doing = row.get("waiting") and cast("Json", row["waiting"])["message"]
            doing, before = doing or row.get("currentStepProgress"), self.progress
            self.progress = doing
            if holds(row):
                return row
            if doing and doing != before:
                self.print_line("progress", doing, "dim")
            if time.monotonic() > deadline:
                raise DemoFailed(f"{row['id']} is still {row['status']} after {ROW_TIMEOUT_SECONDS:.0f} s.")
            await asyncio.sleep(POLL_SECONDS)

    async def wait_for_run(self, read: Callable[[], Awaitable[Json]], name: str, place: int) -> str:
        """The id of the run at a place of a chain, once it has begun.  Raises `DemoFailed` without one."""

        def has_begun(row: Json) -> str | None:
            return next(iter(cast("list[str | None]", row[name])[place:]), None)

        row = await self.wait_until(read, lambda found: has_begun(found) or found["completedAt"])
        if (run_id := has_begun(row)) is None:
            require_completed(row)
            raise DemoFailed(f"{row['id']} ended before its run number {place + 1}.")
        return run_id

    async def follow_run(self, run_id: object) -> Json:
        """A run to its end, told step by step.  Raises `DemoFailed` unless it completes."""
        run = await self.get("/runs/get", id=str(run_id))
        self.print_line(f"run {run['runNumber']}", run["name"])
        await follow_run(self.client, str(run_id), self.since, self.logs, PRINTED_EVENTS)
        return require_completed(await self.get("/runs/get", id=str(run_id)))


def require_completed(row: Json) -> Json:
    """The row, if it has ended well.  Raises `DemoFailed`."""
    if row["status"] != "completed":
        error = cast("Json | None", row.get("error")) or {}
        raise DemoFailed(f"{row['id']} {row['status']}: {error.get('code')}: {error.get('message')}")
    return row
