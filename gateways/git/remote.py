"""A repository on a git server, spoken to with a project's token from the worker's side."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateways.errors import GatewayError, UpstreamFailed
from gateways.git.errors import map_error
from gateways.git.process import Git, token_config

TRANSFER_TIMEOUT_SECONDS: Final = 1_800
"""Shorter than the activities that fetch and push may take."""
QUERY_TIMEOUT_SECONDS: Final = 120
MAX_REFS_PER_PUSH: Final = 200
"""That one git is told to delete."""
MAX_DELETION_ATTEMPTS: Final = 5

SHA: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")


@dataclass(frozen=True)
class Refs:
    """What a remote has of the refs that it was asked for."""

    shas: dict[str, str]
    """By their full names; `HEAD` among them where the remote has commits."""
    default_branch: str | None


@dataclass(frozen=True)
class Remote:
    """One repository, and the token that opens it.  Every method raises `gateways.errors`."""

    git: Git
    url: str
    token: str = field(repr=False)

    async def read_refs(self, refs: Sequence[str], directory: Path) -> Refs:
        """What these refs are now: also the proof that this token may read the repository.

        directory: any git directory; nothing of it is used.
        """
        arguments = ("ls-remote", "--symref", "--", self.url, "HEAD", *refs)
        listing = await self._run(
            "Reading the repository", *arguments, directory=directory, seconds=QUERY_TIMEOUT_SECONDS
        )
        lines = [line.split("\t") for line in listing.splitlines() if "\t" in line]
        shas = {name: sha for sha, name in lines if SHA.match(sha) and (name in refs or name == "HEAD")}
        symbolic = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listing, re.MULTILINE)
        return Refs(shas, symbolic[1] if symbolic else None)

    async def list(self, prefix: str, directory: Path) -> set[str]:
        """The full names of the refs that begin so; directory: as for `read_refs`."""
        arguments = ("ls-remote", "--refs", "--", self.url, f"{prefix}*")
        listing = await self._run(
            "Reading the repository", *arguments, directory=directory, seconds=QUERY_TIMEOUT_SECONDS
        )
        names = {line.partition("\t")[2] for line in listing.splitlines()}
        return {name for name in names if name.startswith(prefix)}

    async def fetch(self, refspecs: Sequence[str], directory: Path) -> None:
        quiet = (
            "--quiet",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
        )
        arguments = ("fetch", *quiet, "--", self.url, *refspecs)
        await self._run(
            "Fetching the repository", *arguments, directory=directory, seconds=TRANSFER_TIMEOUT_SECONDS
        )

    async def push(self, refspec: str, directory: Path, environment: Mapping[str, str]) -> None:
        """Push from a directory, with where it borrows objects from.

        Raises `PushRejected` if that would lose commits there, or a rule forbids it.
        """
        arguments = ("push", "--porcelain", "--no-verify", "--", self.url, refspec)
        await self._run(
            "Pushing",
            *arguments,
            directory=directory,
            seconds=TRANSFER_TIMEOUT_SECONDS,
            environment=environment,
        )

    async def delete(self, refs: Sequence[str], directory: Path) -> int:
        """Remove refs; those that are not there are passed over.  How many were there."""
        deleted = 0
        for start in range(0, len(refs), MAX_REFS_PER_PUSH):
            deleted += await self._delete(refs[start : start + MAX_REFS_PER_PUSH], directory)
        return deleted

    async def _delete(self, refs: Sequence[str], directory: Path) -> int:
        """All of them or none: where another execution is faster, what it has left is looked at again."""
        for _ in range(MAX_DELETION_ATTEMPTS):
            found = (await self.read_refs(refs, directory)).shas
            there = [ref for ref in refs if ref in found]
            if not there:
                return 0
            arguments = ("push", "--porcelain", "--no-verify", "--", self.url, *(f":{ref}" for ref in there))
            try:
                await self._run(
                    "Deleting a ref", *arguments, directory=directory, seconds=QUERY_TIMEOUT_SECONDS
                )
            except GatewayError as error:
                if "remote ref does not exist" not in error.message:
                    raise
            else:
                return len(there)
        raise UpstreamFailed("Deleting refs failed: somebody else deletes them, too.")

    async def _run(
        self,
        doing: str,
        *arguments: str,
        directory: Path,
        seconds: float,
        environment: Mapping[str, str] | None = None,
    ) -> str:
        config = token_config(self.url, self.token)
        done = await self.git.run(
            *arguments, directory=directory, seconds=seconds, config=config, environment=environment
        )
        if done.exit_code != 0:
            raise map_error(doing, done.exit_code, done.text + done.stderr, self.token)
        return done.text
