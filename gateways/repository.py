"""A git repository inside a sandbox: cloned, committed, pushed and kept safe in hidden checkpoints."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateways import git_scripts as scripts
from gateways.errors import UpstreamRefused
from gateways.git_errors import (
    BaseBranchMissing,
    GitAuthenticationRefused,
    PushRejected,
    RepositoryNotFound,
    WorkTreeDamaged,
    explain,
)
from gateways.sandbox import PRIVATE, TIMED_OUT, Completed, SandboxHandle

__all__ = [
    "BaseBranchMissing", "ChangedFile", "Cloned", "Diff", "GitAuthenticationRefused", "PushRejected",
    "Repository", "RepositoryNotFound", "WorkTreeDamaged", "branch_name", "checkpoint_ref",
]  # fmt: skip

REPOSITORY: Final = "/home/user/repo"
MOST_FILES: Final = 3000
LOCAL_SECONDS: Final = 120
NETWORK_SECONDS: Final = 900

_SHA = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|\.\Z|/\Z|\A[-/.]")
_PLAIN: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
"""Nothing is asked, and no configuration is read but the repository's own."""


@dataclass(frozen=True)
class Cloned:
    base_branch: str
    base_sha: str


@dataclass(frozen=True)
class ChangedFile:
    """Lines added and deleted; None for a binary file."""

    path: str
    additions: int | None
    deletions: int | None


@dataclass(frozen=True)
class Diff:
    text: str
    truncated: bool


def branch_name(name: str) -> str:
    """The name, if git takes it for a branch.  Raises `UpstreamRefused`."""
    if not name or len(name) > 200 or name == "@" or _NOT_IN_A_REF.search(name):
        raise UpstreamRefused(
            f"{name[:200]!r} is not a branch name: use letters, digits and . _ - between slashes."
        )
    return name


def checkpoint_ref(job_id: str) -> str:
    """Where a job's work tree is kept, out of everybody's sight."""
    return f"refs/codecourier/checkpoints/{job_id}"


class Repository:
    """The clone at `/home/user/repo`.  Every method may be repeated and raises `gateways.errors`."""

    def __init__(self, handle: SandboxHandle, clone_url: str, token: str) -> None:
        self._handle, self._url, self._token = handle, clone_url, token

    async def clone(self, base_branch: str | None, branch: str, *, restore: str | None = None) -> Cloned:
        """Check `branch` out: new from the base (None: the default branch), or as the ref `restore` kept it.

        A finished clone of the same address stays as it is; a checkpoint that does not exist is passed over.
        """
        found = await self._git("Looking for the clone", scripts.EXISTING, REPOSITORY, check=False)
        if (lines := found.stdout.split()) and len(lines) == 3 and lines[0] == self._url:
            return Cloned(lines[1], lines[2])
        base, checkpointed = await self._look(base_branch and branch_name(base_branch), restore)
        refs = [f"+refs/heads/{base}:refs/remotes/origin/{base}"]
        if restore and checkpointed:
            refs.append(f"+{restore}:refs/codecourier/checkpoint")
        partial = f"{PRIVATE}/clone"
        await self._git("Fetching the repository", scripts.FETCH, partial, self._url, *refs, token=True)
        done = await self._git(
            "Checking the branch out",
            scripts.CHECK_OUT,
            partial, REPOSITORY, self._url, base, branch_name(branch),
        )  # fmt: skip
        return Cloned(base, done.stdout.strip())

    async def _look(self, base: str | None, restore: str | None) -> tuple[str, bool]:
        """The base branch by its name, and whether the checkpoint exists, in one question to the remote."""
        wanted = [
            self._url,
            "HEAD",
            *([f"refs/heads/{base}"] if base else []),
            *([restore] if restore else []),
        ]
        script = 'cd / && exec git ls-remote --symref "$@"'
        listing = (await self._git("Reading the repository", script, *wanted, token=True)).stdout
        refs = {line.split("\t")[1]: line.split("\t")[0] for line in listing.splitlines() if "\t" in line}
        if base is None:
            symbolic = re.search(r"^ref: refs/heads/(\S+)\tHEAD$", listing, re.MULTILINE)
            base = branch_name(symbolic.group(1)) if symbolic else "main"
            if "HEAD" not in refs:
                raise BaseBranchMissing(
                    "The repository has no commits yet: push a first commit, then start the run."
                )
        elif f"refs/heads/{base}" not in refs:
            raise BaseBranchMissing(
                f"The base branch {base!r} does not exist in the repository: choose another, or create it."
            )
        return base, restore in refs

    async def identity(self, name: str, email: str) -> None:
        """Who commits that the agent makes itself are by."""
        script = 'cd "$1" && git config user.name "$2" && git config user.email "$3"'
        await self._git("Setting the identity", script, REPOSITORY, name, email)

    async def commit(
        self, base: str, message: str, *, name: str, email: str, trailers: Mapping[str, str] | None = None
    ) -> str | None:
        """The commit of the whole work tree, made if need be; None if that equals the commit `base`."""
        lines = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in (trailers or {}).items())
        text = f"{message.strip()}\n\n{lines}".strip()
        done = await self._git("Committing", scripts.COMMIT, REPOSITORY, _sha(base), text, who=(name, email))
        return done.stdout.strip() or None

    async def head(self) -> str:
        done = await self._git("Reading HEAD", 'cd "$1" && git rev-parse HEAD', REPOSITORY)
        return done.stdout.strip()

    async def changed(self, base: str, sha: str = "HEAD") -> list[ChangedFile]:
        """Files that differ between two commits, at most 3,000."""
        script = 'cd "$1" && git diff --numstat -z --no-renames --no-ext-diff --no-textconv "$2" "$3" --'
        done = await self._git("Comparing", script, REPOSITORY, _sha(base), _revision(sha))
        rows = [row.split("\t", 2) for row in done.stdout.split("\0") if row.count("\t") >= 2]
        return [
            ChangedFile(path, *(None if count == "-" else int(count) for count in (added, deleted)))
            for added, deleted, path in rows[:MOST_FILES]
        ]

    async def diff(self, base: str, limit: int, sha: str = "HEAD") -> Diff:
        """The unified diff between two commits, at most `limit` bytes of it."""
        done = await self._git(
            "Comparing", scripts.DIFF, REPOSITORY, _sha(base), _revision(sha), str(limit + 1)
        )
        data = done.stdout.encode()
        return Diff(data[:limit].decode(errors="ignore"), truncated=len(data) > limit)

    async def push(self, sha: str, ref: str, *, force: bool = False) -> None:
        """Let `ref` on the remote be this commit.  Raises `PushRejected` if that would lose commits there."""
        refspec = f"{'+' if force else ''}{_sha(sha)}:{_ref(ref)}"
        await self._git("Pushing", scripts.PUSH, REPOSITORY, self._url, refspec, token=True)

    async def outgoing(self, base: str, sha: str, start: int, limit: int) -> str:
        """All that `sha` adds to `base`, in whatever commit: `limit` bytes of it from `start` on."""
        values = (REPOSITORY, _sha(base), _sha(sha), str(start + 1), str(limit))
        return (await self._git("Reading what is new", scripts.OUTGOING, *values)).stdout

    async def snapshot(self, message: str) -> str:
        """A commit of the work tree as it is, without a trace in branch and index, to be a checkpoint."""
        who = ("CodeCourier", "checkpoint@codecourier.invalid")
        done = await self._git("Taking a checkpoint", scripts.SNAPSHOT, REPOSITORY, message, who=who)
        return done.stdout.strip()

    async def delete_ref(self, ref: str) -> None:
        """Remove a ref from the remote; one that is not there is fine."""
        done = await self._git(
            "Deleting a ref", scripts.PUSH, REPOSITORY, self._url, f":{_ref(ref)}", token=True, check=False
        )
        said = done.stdout + done.stderr
        if done.exit_code != 0 and "remote ref does not exist" not in said:
            raise explain("Deleting a ref", done.exit_code, said, self._token)

    async def _git(
        self,
        doing: str,
        script: str,
        *values: str,
        token: bool = False,
        who: tuple[str, str] | None = None,
        check: bool = True,
    ) -> Completed:
        config = {"core.hooksPath": "/dev/null", "commit.gpgSign": "false", "core.quotePath": "false"}
        envs = dict(_PLAIN)
        if token:
            basic = base64.b64encode(f"x-access-token:{self._token}".encode()).decode()
            config |= {
                f"http.{self._url}.extraHeader": f"Authorization: Basic {basic}",
                "credential.helper": "",
            }
            envs |= {
                "HOME": "/nonexistent",
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "GIT_ALLOW_PROTOCOL": "http:https",
            }
        if who is not None:
            for role in ("AUTHOR", "COMMITTER"):
                envs |= {f"GIT_{role}_NAME": who[0], f"GIT_{role}_EMAIL": who[1]}
        envs["GIT_CONFIG_COUNT"] = str(len(config))
        for number, (key, value) in enumerate(config.items()):
            envs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        done = await self._handle.run(
            ["bash", "-c", script, "git", *values],
            envs=envs,
            timeout_seconds=NETWORK_SECONDS if token else LOCAL_SECONDS,
        )
        if check and done.exit_code != 0:
            said = done.stdout + done.stderr
            if token or done.exit_code == TIMED_OUT:
                raise explain(doing, done.exit_code, said, self._token)
            raise WorkTreeDamaged(f"{doing} failed in the sandbox's clone: {said.strip()[-300:]}")
        return done


def _sha(value: str) -> str:
    if not _SHA.match(value):
        raise UpstreamRefused(f"{value[:80]!r} is not a commit: send its full hexadecimal name.")
    return value


def _revision(value: str) -> str:
    return value if value == "HEAD" else _sha(value)


def _ref(value: str) -> str:
    if not value.startswith(("refs/heads/", "refs/codecourier/")):
        raise UpstreamRefused(f"{value[:200]!r} is not a branch or a ref of ours.")
    branch_name(value)
    return value
