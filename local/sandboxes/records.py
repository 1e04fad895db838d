"""What is remembered of a sandbox: one JSON file each, replaced atomically: a killed server loses nothing."""

import asyncio
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, ValidationError

from local.sandboxes.network.policy import NetworkPolicy

log = logging.getLogger(__name__)

SANDBOXES = Path("sandboxes")
TRASH = Path("trash")


class Record(BaseModel):
    """A sandbox as the control plane knows it. Times are seconds since the epoch.

    The file holds the access token and the environment given at creation, as E2B's service keeps them; only
    the server's user may read it, and it is mounted in no sandbox.
    """

    sandbox_id: str = Field(pattern=r"^[a-z0-9]+$")
    template_id: str
    access_token: str = Field(repr=False)
    metadata: dict[str, str]
    envs: dict[str, str] = Field(repr=False)
    uid: int
    """The user of the host that it runs as and its files belong to."""
    reach: NetworkPolicy
    auto_pause: bool
    auto_pause_memory: bool
    idempotency_key: str | None
    state: Literal["running", "paused"] = "running"
    started_at: float = Field(default_factory=time.time)
    end_at: float

    @property
    def directory(self) -> Path:
        return SANDBOXES / self.sandbox_id

    def matches(self, states: frozenset[str], metadata: dict[str, str]) -> bool:
        """Whether the sandbox is in one of the states and carries every pair of the metadata."""
        return self.state in states and metadata.items() <= self.metadata.items()

    def extend(self, seconds: int, *, shorten: bool) -> None:
        """Let the sandbox live so many seconds from now on; without `shorten`, only if that is longer."""
        end_at = time.time() + seconds
        self.end_at = end_at if shorten else max(self.end_at, end_at)

    def save(self) -> None:
        target = self.directory / "record.json"
        draft = self.directory / "record.json.new"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.model_dump_json())
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)

    def discard(self) -> Path:
        """Take the sandbox out of the house in one step; returns where its files wait to be deleted."""
        TRASH.mkdir(mode=0o700, exist_ok=True)
        return self.directory.rename(TRASH / self.sandbox_id)


def load_records() -> Iterator[Record]:
    """The records of all sandboxes; what cannot be read is named in the log and left as it is."""
    for directory in sorted(SANDBOXES.glob("*")):
        try:
            yield Record.model_validate_json((directory / "record.json").read_text())
        except (OSError, ValidationError):
            log.exception("%s holds no sandbox that can be restored: look at it and delete it", directory)


def iso(seconds: float) -> str:
    """Seconds since the epoch as the RFC 3339 text of E2B's wire."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


async def copy_tree(top: Path, target: Path) -> None:
    """Copy a tree with all that its files are, in place of an earlier copy."""
    await remove_tree(target)
    if await _run("cp", "--archive", "--", str(top), str(target)) != 0:
        raise OSError(f"{top} could not be copied: see cp's message in the log")


async def remove_tree(top: Path) -> None:
    """Delete a tree that a sandbox has filled, never following its links, however deep it is.

    `rm` needs no stack for deep trees. What an ordinary user made unreadable to himself gets rights back
    first.
    """
    if await _run("rm", "-rf", "--one-file-system", "--", str(top)) != 0:
        await _run("chmod", "-R", "u+rwX", "--", str(top))
        if await _run("rm", "-rf", "--one-file-system", "--", str(top)) != 0:
            raise OSError(f"{top} could not be deleted: see rm's message in the log, delete it by hand")


async def _run(*command: str) -> int:
    process = await asyncio.create_subprocess_exec(*command)
    return await process.wait()
