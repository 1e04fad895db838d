"""What a sandbox made, taken into a repository of its own on the worker before any of it is believed.

It borrows the mirror's objects, and only what is reachable from commits that the remote has counts as known:
a commit that refers to anything else that the mirror happens to hold is refused, or it would tell secrets.
Grafts, replacements, hooks and configuration of the sandbox never come here, as only objects do.
"""

import asyncio
import secrets
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateways.errors import UpstreamFailed, UpstreamRefused
from gateways.git.mirror import GIT_TIMEOUT_SECONDS, Mirror
from gateways.git.process import Completed, Limits
from gateways.git.remote import Remote

MAX_PACK_BYTES: Final = 500_000_000
"""Of what one push brings, packed."""
MAX_CHANGE_BYTES: Final = 1_000_000_000
"""Of what one push brings, unpacked; all of it is searched for secrets."""
MAX_OBJECTS: Final = 1_000_000
_LIMITS: Final = Limits(file_bytes=4 * MAX_PACK_BYTES, cpu_seconds=600)


class ChangeTooLarge(UpstreamRefused):
    """More than one push may bring."""

    def __init__(self) -> None:
        super().__init__(
            f"The change is larger than a push may be ({MAX_PACK_BYTES // 1_000_000} MB packed, "
            f"{MAX_CHANGE_BYTES // 1_000_000} MB unpacked, {MAX_OBJECTS:,} objects): it was not pushed. "
            "Leave large files out of the repository, for instance by .gitignore."
        )


class ChangeMalformed(UpstreamRefused):
    """What the sandbox sent is not sound git data."""


@dataclass(frozen=True)
class Quarantine:
    mirror: Mirror
    directory: Path

    @property
    def _alternates(self) -> dict[str, str]:
        return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.mirror.objects)}

    @property
    def new_objects(self) -> Path:
        """The names of what `verify` found to be new, one a line."""
        return self.directory / "new-objects"

    async def unpack(self, pack: Path) -> None:
        """Take a pack in, every object of it checked as a git server would.

        Raises `ChangeMalformed`; the file is read whole, whatever it holds.
        """
        strict = ("index-pack", "--stdin", "--fix-thin", "--strict", f"--max-input-size={MAX_PACK_BYTES}")
        with pack.open("rb") as file:
            done = await self._git(*strict, stdin=file)
        if done.exit_code != 0:
            raise ChangeMalformed(f"The change is not sound git data: {_last_error(done)}")

    async def verify(self, sha: str, known: Sequence[str]) -> None:
        """See that a commit is whole, that all that is new in it came from the sandbox, and is not too much.

        known: commits that the remote has.  Raises `ChangeMalformed` and `ChangeTooLarge`.
        """
        if (await self._git("cat-file", "-t", sha)).text.strip() != "commit":
            raise ChangeMalformed(f"The change does not hold the commit {sha}.")
        not_known = [f"^{each}" for each in known]
        with self.new_objects.open("wb") as file:
            listing = ("rev-list", "--objects", "--no-object-names", sha, *not_known)
            done = await self._git(*listing, stdout=file)
        if done.exit_code != 0:
            raise ChangeMalformed(f"The change is not whole: {_last_error(done)}")
        missing = await self._measure()
        if missing:
            await self._require_reachable(missing, known)

    async def is_ancestor(self, old: str, new: str) -> bool:
        done = await self._git("merge-base", "--is-ancestor", old, new)
        return done.exit_code == 0

    async def content(self, sha: str) -> str:
        """A commit's tree and message."""
        return (await self._run("show", "--no-patch", "--format=%T%n%B", sha)).strip()

    async def changed_entries(self, base: str, sha: str) -> dict[str, str]:
        """The paths in which two commits differ, each with what the second has there: mode and name."""
        raw = await self._run("diff-tree", "-r", "-z", "--raw", "--no-renames", base, sha)
        words = raw.split("\0")
        return {
            path: _entry(*facts.split()[1::2]) for facts, path in zip(words[0::2], words[1::2], strict=False)
        }

    async def entries(self, tree: str, paths: Sequence[str]) -> dict[str, str]:
        """What a commit or tree has at these paths, in the same words."""
        found: dict[str, str] = {}
        for start in range(0, len(paths), 500):
            literal = paths[start : start + 500]
            environment = {"GIT_LITERAL_PATHSPECS": "1"}
            done = await self._git(
                "ls-tree", "-r", "-z", "--full-tree", tree, "--", *literal, more=environment
            )
            for line in filter(None, done.text.split("\0")):
                facts, _, path = line.partition("\t")
                mode, _, name = facts.split()
                found[path] = _entry(mode, name)
        return found

    async def merge_tree(self, one: str, other: str) -> str | None:
        """The tree that git itself makes of two commits, where nothing conflicts."""
        done = await self._git("merge-tree", "--write-tree", one, other)
        return done.text.split("\n", 1)[0] if done.exit_code == 0 else None

    async def contents(self) -> AsyncGenerator[bytes]:
        """Every object that is new, commits, names and contents, in pieces."""
        with self.new_objects.open("rb") as file:
            pieces = self.mirror.git.stream(
                "cat-file",
                "--batch",
                "--buffer",
                directory=self.directory,
                stdin=file,
                seconds=GIT_TIMEOUT_SECONDS * 2,
                environment=self._alternates,
            )
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece

    async def push(self, remote: Remote, sha: str, ref: str, *, force: bool) -> None:
        await remote.push(f"{'+' if force else ''}{sha}:{ref}", self.directory, self._alternates)

    async def _measure(self) -> set[str]:
        """See that what is new is not too much; what of it did not come from the sandbox."""
        total, count, missing = 0, 0, set()
        with self.new_objects.open("rb") as file:
            sizes = self.mirror.git.stream(
                "cat-file",
                "--batch-check=%(objectname) %(objectsize)",
                "--buffer",
                directory=self.directory,
                stdin=file,
                seconds=GIT_TIMEOUT_SECONDS,
            )
            async with aclosing(_lines(sizes)) as lines:
                async for line in lines:
                    name, _, size = line.partition(" ")
                    if size == "missing":
                        missing.add(name)
                    else:
                        total += int(size)
                    count += 1
                    if total > MAX_CHANGE_BYTES or count > MAX_OBJECTS:
                        raise ChangeTooLarge
        return missing

    async def _require_reachable(self, objects: set[str], known: Sequence[str]) -> None:
        """Raises `ChangeMalformed` for an object that nothing of what is known has."""
        left = set(objects)
        listing = self.mirror.git.stream(
            "rev-list",
            "--objects",
            "--no-object-names",
            *known,
            directory=self.directory,
            seconds=GIT_TIMEOUT_SECONDS,
            environment=self._alternates,
        )
        async for line in _lines(listing):
            left.discard(line)
        if left:
            raise ChangeMalformed(f"The change refers to {min(left)}, which it does not hold.")

    async def _git(self, *arguments: str, more: dict[str, str] | None = None, **streams: object) -> Completed:
        return await self.mirror.git.run(
            *arguments,
            directory=self.directory,
            seconds=GIT_TIMEOUT_SECONDS,
            limits=_LIMITS,
            environment=self._alternates | (more or {}),
            **streams,  # type: ignore[arg-type]
        )

    async def _run(self, *arguments: str) -> str:
        done = await self._git(*arguments)
        if done.exit_code != 0:
            raise UpstreamFailed(f"Comparing the change failed: {_last_error(done)}")
        return done.text


@asynccontextmanager
async def quarantine(mirror: Mirror) -> AsyncIterator[Quarantine]:
    """An empty one beside the mirror; it goes at the end, with all that is in it."""
    directory = mirror.directory / f"quarantine-{secrets.token_hex(8)}"
    directory.mkdir(mode=0o700)
    mirror.git.give_ownership(directory)
    try:
        done = await mirror.git.run(
            "init", "--quiet", "--bare", "--template=", directory=directory, seconds=GIT_TIMEOUT_SECONDS
        )
        if done.exit_code != 0:
            raise UpstreamFailed(f"The cache for git cannot be written: {_last_error(done)}")
        yield Quarantine(mirror, directory)
    finally:
        await asyncio.to_thread(shutil.rmtree, directory, ignore_errors=True)


async def _lines(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[str]:
    rest = b""
    async with aclosing(pieces):
        async for piece in pieces:
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode()


def _entry(mode: str, name: str) -> str:
    return "" if mode == "000000" else f"{mode} {name}"


def _last_error(done: Completed) -> str:
    return " ".join(done.stderr.split())[-300:] or f"exit code {done.exit_code}"
