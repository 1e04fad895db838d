"""A clone in a sandbox, and its remote: what comes from there and goes there passes through the worker.

No token enters the sandbox.  The remote is fetched from into a mirror on the worker's disk, from which packs
are sent in; what is to be pushed comes out as a pack, is taken into a quarantine, checked there and pushed
from there.
"""

import asyncio
import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from gateways.errors import UpstreamFailed, UpstreamRefused
from gateways.git import scripts
from gateways.git.branch_names import is_branch_name
from gateways.git.cache import CloneCache
from gateways.git.commits import Identity, build_commit, commit_sha, sign_commit
from gateways.git.errors import (
    BaseBranchMissing,
    BranchMissing,
    CommitMissing,
    GitAuthenticationRefused,
    PushRejected,
    RepositoryNotFound,
    WorkTreeDamaged,
)
from gateways.git.hidden_refs import checkpoint_ref
from gateways.git.mirror import Mirror, MirrorDamaged, Pack
from gateways.git.process import DiskFull, raise_disk_full
from gateways.git.protected_paths import ProtectedPath, find_touched_paths, require_untouched
from gateways.git.quarantine import (
    MAX_PACK_BYTES,
    ChangeMalformed,
    ChangeTooLarge,
    Quarantine,
    quarantine,
)
from gateways.git.remote import SHA, Refs, Remote
from gateways.git.secret_scan import SecretInChange, require_no_secrets
from gateways.sandboxes.sandbox import PRIVATE, TIMED_OUT, Completed, SandboxHandle
from kit.redaction import Redactor

__all__ = [
    "BaseBranchMissing",
    "BranchMissing",
    "ChangeMalformed",
    "ChangeTooLarge",
    "ChangedFile",
    "CloneBase",
    "ExpectedMerge",
    "GitAuthenticationRefused",
    "ProtectedPath",
    "PushPolicy",
    "PushRejected",
    "Repository",
    "RepositoryNotFound",
    "SecretInChange",
    "WorkTreeDamaged",
    "branch_name",
    "checkpoint_ref",
]

REPOSITORY: Final = "/home/user/repo"
MAX_FILES: Final = 3_000
GIT_TIMEOUT_SECONDS: Final = 1_200
SNAPSHOT_TIMEOUT_SECONDS: Final = 240
"""Shorter than the activities around them may take."""
MAX_ATTEMPTS: Final = 3
"""git's own failures in a sandbox may pass: another process of the agent was in the way."""
RETRY_SECONDS: Final = 1.0
LOCK_BUSY_EXIT_CODE: Final = 75
"""How a script ends that waited in vain for the one before it."""

_GIT_ENVIRONMENT: Final = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
"""Nothing is asked, and no configuration is read but the repository's own."""
_GIT_CONFIG: Final = {
    "core.hooksPath": "/dev/null",
    "commit.gpgSign": "false",
    "core.quotePath": "false",
    "core.fsmonitor": "false",
    "gc.auto": "0",
}

T = TypeVar("T")


@dataclass(frozen=True)
class CloneBase:
    base_branch: str
    base_sha: str


@dataclass(frozen=True)
class ChangedFile:
    """Lines added and deleted; None for a binary file."""

    path: str
    additions: int | None
    deletions: int | None


@dataclass(frozen=True)
class ExpectedMerge:
    """A commit, and the two that it has to hold: where it started from, and what was merged into that."""

    sha: str
    base: str
    head: str


@dataclass(frozen=True)
class RemoteRef:
    """What a ref on the remote is now."""

    sha: str
    touched_paths: Sequence[str] = ()
    """Protected paths that it touches: it may be a checkpoint, and no branch."""


@dataclass(frozen=True)
class PushPolicy:
    """What a project lets nobody push."""

    redactor: Redactor = field(default_factory=lambda: Redactor([]))
    """Knows its secrets."""
    protected: Sequence[str] = ()
    """Patterns of paths that branches have to leave alone."""


def branch_name(name: str) -> str:
    """The name, if git takes it for a branch.  Raises `UpstreamRefused`."""
    if not is_branch_name(name):
        raise UpstreamRefused(
            f"{name[:200]!r} is not a branch name: use letters, digits and . _ - between slashes."
        )
    return name


class Repository:
    """The clone at `/home/user/repo`.  Every method may be repeated and raises `gateways.errors`."""

    def __init__(
        self, handle: SandboxHandle, url: str, token: str, cache: CloneCache, policy: PushPolicy | None = None
    ) -> None:
        self._handle, self._cache, self._policy = handle, cache, policy or PushPolicy()
        self._remote = Remote(cache.git, url, token)

    async def clone(
        self,
        base_branch: str | None,
        branch: str,
        *,
        restore: Sequence[str] = (),
        needs_checkpoint: bool = False,
        pushed: str | None = None,
        pushed_sha: str | None = None,
        others: Sequence[str] = (),
        resume: bool = False,
        at: str | None = None,
    ) -> CloneBase:
        """Check `branch` out: new from the base (None: the default branch), or from a checkpoint.

        restore: refs of checkpoints, the preferred one first; those that do not exist are passed over.
        needs_checkpoint: one of them has to exist; `BranchMissing` otherwise.

        pushed: the branch that the work goes on from, as it is on the remote; `BranchMissing` without it.
        pushed_sha: what was pushed there last: a checkpoint that was taken before it is passed over.

        A finished clone of the same address stays as it is.
        others: branches that are fetched, too, as `origin/<name>`; `BranchMissing` without one of them.
        resume: if the remote has the branch already, it is its own base.
        at: the commit to check out, which the remote has, in a branch or a checkpoint or anywhere else.
        """
        found = await self._git("Looking for the clone", scripts.FIND_CLONE, REPOSITORY, check=False)
        if (lines := found.stdout.split()) and len(lines) == 3 and lines[0] == self._remote.url:
            return CloneBase(lines[1], lines[2])
        wanted = _CloneRequest(
            base_branch and branch_name(base_branch),
            branch_name(branch),
            restore,
            pushed and branch_name(pushed),
            [branch_name(name) for name in others],
            resume,
            at and _require_sha(at),
            pushed_sha and _require_sha(pushed_sha),
            needs_checkpoint,
        )
        cloned = await self._with_mirror(lambda mirror: self._clone(mirror, wanted))
        await self._cache.evict_to_fit()
        return cloned

    async def set_identity(self, name: str, email: str) -> None:
        """Who commits that the agent makes itself are by."""
        script = 'cd "$1" && git config user.name "$2" && git config user.email "$3"'
        await self._git("Setting the identity", script, REPOSITORY, name, email)

    async def commit(
        self, base: str, message: str, *, name: str, email: str, trailers: Mapping[str, str] | None = None
    ) -> str | None:
        """The commit of the whole work tree, made if need be; None if that equals the commit `base`.

        It is written here, by this identity and with these trailers; a last commit of the agent's own is made
        anew with them.  The clone's HEAD is that commit then, so that again it is found.
        """
        identity = Identity(name, email, trailers or {})
        done = await self._git("Reading the work tree", scripts.WORK_TREE, REPOSITORY, _require_sha(base))
        tree, head_tree, head, is_new, content, base_tree = _split_output(done.stdout, 6)
        if tree == base_tree:
            return None
        if tree != head_tree:
            commit = build_commit(tree, head, message, identity)
        else:
            commit = base64.b64decode(content)
            if commit_sha(commit, head) != head:
                raise WorkTreeDamaged("Reading the work tree failed: HEAD is not what it says it is.")
            if is_new == "0" or identity.is_author_of(commit):
                return head
            commit = sign_commit(commit, identity)
        sha = commit_sha(commit, head)
        adopted = (REPOSITORY, sha, base64.b64encode(commit).decode())
        await self._git("Committing", scripts.ADOPT, *adopted)
        return sha

    async def read_head(self) -> str:
        done = await self._git("Reading HEAD", 'cd "$1" && git rev-parse HEAD', REPOSITORY)
        return _require_sha(done.stdout.strip())

    async def list_changed_files(self, base: str, sha: str = "HEAD") -> list[ChangedFile]:
        """Files that differ between two commits of the clone, at most 3,000; its word for it."""
        script = 'cd "$1" && git diff --numstat -z --no-renames --no-ext-diff --no-textconv "$2" "$3" --'
        done = await self._git(
            "Comparing", script, REPOSITORY, _require_sha(base), sha if sha == "HEAD" else _require_sha(sha)
        )
        rows = [row.split("\t", 2) for row in done.stdout.split("\0") if row.count("\t") >= 2]
        return [
            ChangedFile(path, *(None if count == "-" else int(count) for count in (added, deleted)))
            for added, deleted, path in rows[:MAX_FILES]
        ]

    async def snapshot(self, message: str, commit: str | None = None) -> str:
        """A commit of the work tree as it is, without a trace in branch and index, to be a checkpoint.

        What git ignores is no part of it.  commit: of this one's files instead.
        """
        who = ("CodeCourier", "checkpoint@codecourier.invalid")
        done = await self._git(
            "Taking a checkpoint",
            scripts.SNAPSHOT,
            REPOSITORY,
            message,
            commit or "",
            who=who,
            seconds=SNAPSHOT_TIMEOUT_SECONDS,
        )
        return _require_sha(done.stdout.strip())

    async def push(self, sha: str, branch: str, base: CloneBase) -> str:
        """Let the branch on the remote be this commit of the clone; the commit that it is then.

        All that it adds to the remote's base is checked here before: `SecretInChange`, `ChangeTooLarge`,
        `ChangeMalformed` and `ProtectedPath`.  Raises `PushRejected` if it would lose commits there.
        """
        ref = f"refs/heads/{branch_name(branch)}"
        return (await self._with_mirror(lambda mirror: self._push(mirror, _require_sha(sha), ref, base))).sha

    async def push_hidden_ref(
        self, sha: str, ref: str, base: CloneBase, *, merge: ExpectedMerge | None = None
    ) -> RemoteRef:
        """Let a hidden ref on the remote be this commit of the clone, whatever it was before.

        It is checked as `push` does, but that protected paths are only named.
        merge: what it is a checkpoint of, to be held to that: then `ProtectedPath` is raised, too.
        """
        _require_sha(sha), _require_hidden_ref(ref)
        return await self._with_mirror(
            lambda mirror: self._push(mirror, sha, ref, base, force=True, merge=merge)
        )

    async def _clone(self, mirror: Mirror, wanted: "_CloneRequest") -> CloneBase:
        refs = await mirror.fetch(self._remote, wanted.refs)
        base = wanted.base_in(refs)
        tip = refs.shas[f"refs/heads/{base}" if f"refs/heads/{base}" in refs.shas else "HEAD"]
        start, lines = tip, {f"refs/remotes/origin/{base}": tip}
        for name in wanted.others:
            lines[f"refs/remotes/origin/{name}"] = refs.shas[f"refs/heads/{name}"]
        if wanted.pushed:
            start = refs.shas[f"refs/heads/{wanted.pushed}"]
            lines |= {f"refs/remotes/origin/{wanted.pushed}": start, "refs/codecourier/pushed": start}
        checkpoint = next((refs.shas[name] for name in wanted.restore if name in refs.shas), None)
        if checkpoint is None and wanted.needs_checkpoint:
            raise BranchMissing("The checkpoint that the run goes on from is not in the repository any more.")
        if checkpoint is not None:
            parent = await mirror.parent(checkpoint)
            if wanted.pushed_sha is None or await mirror.is_ancestor(wanted.pushed_sha, parent):
                start = parent
                lines["refs/codecourier/checkpoint"] = checkpoint
            else:  # it is older than what was pushed, which holds all of it
                checkpoint = None
        if wanted.at is not None and wanted.at != checkpoint:
            start, checkpoint = wanted.at, None
            await self._require_commit(mirror, wanted.at, list(lines.values()))
            lines["refs/codecourier/at"] = wanted.at
        base_sha = await mirror.merge_base(tip, start)
        if base_sha is None:
            raise BranchMissing(f"The branch to go on from shares no history with the base branch {base!r}.")
        lines["refs/codecourier/base"] = base_sha
        partial = await self._init_clone()
        async with mirror.packs(tip, list(lines.values())) as packs:
            await self._send(packs, partial)
        updates = "\n".join(f"create {name} {sha}" for name, sha in lines.items())
        place = (partial, REPOSITORY, self._remote.url, base, wanted.branch, start, checkpoint or "", updates)
        await self._check_out(scripts.CHECK_OUT, *place)
        return CloneBase(base, base_sha)

    async def _require_commit(self, mirror: Mirror, sha: str, tips: Sequence[str]) -> None:
        """See that the remote has a commit, in one of these or anywhere else.  Raises `BranchMissing`."""
        for tip in tips:
            if await mirror.is_ancestor(sha, tip):
                return
        try:
            await mirror.fetch_commit(self._remote, sha)
        except CommitMissing as error:
            raise BranchMissing(f"The commit {sha} is not in the repository: {error.message}") from error

    async def _init_clone(self) -> str:
        partial = f"{PRIVATE}/clone"
        await self._git("Beginning the clone", scripts.INIT, partial)
        return partial

    async def _check_out(self, script: str, *values: str) -> None:
        """What was sent may come from a damaged mirror: then that is made anew, and all is sent again."""
        try:
            await self._git("Checking the branch out", script, *values, tries=1)
        except WorkTreeDamaged as error:
            raise MirrorDamaged(error.message) from error

    async def _send(self, packs: Sequence[Pack], repository: str) -> None:
        """Put packs into a repository in the sandbox, each index after what it is of."""
        for pack in packs:
            name = f"{repository}/.git/objects/pack/pack-{secrets.token_hex(20)}"
            await self._handle.upload(f"{name}.pack", pack.pack)
            await self._handle.upload(f"{name}.idx", pack.index)

    async def _push(
        self,
        mirror: Mirror,
        sha: str,
        ref: str,
        base: CloneBase,
        *,
        force: bool = False,
        merge: ExpectedMerge | None = None,
    ) -> RemoteRef:
        """force: for a hidden ref."""
        remote = await self._read_remote(mirror, base, ref)
        if remote.refs.shas.get(ref) == sha and not force:
            return RemoteRef(sha)
        async with quarantine(mirror) as taken:
            try:
                await taken.unpack(await self._receive(taken, sha, base.base_sha))
                await taken.verify(sha, remote.known)
            except ChangeMalformed:
                if not await mirror.is_sound(remote.known):
                    raise MirrorDamaged("The cache of the repository is damaged.") from None
                raise
            touched: list[str] = []
            if merge is not None:
                await self._require_merge(taken, merge, sha, remote.accepted)
            else:
                touched = await find_touched_paths(taken, self._policy.protected, sha, remote.accepted)
            if touched and not force:
                raise ProtectedPath(touched)
            await require_no_secrets(taken, self._policy.redactor)
            try:
                await taken.push(self._remote, sha, ref, force=force)
            except PushRejected:
                there = (await mirror.fetch(self._remote, [ref])).shas.get(ref)
                if there is None or not await _is_same_work(mirror, taken, there, sha):
                    raise
                return RemoteRef(there)
        return RemoteRef(sha, touched)

    async def _read_remote(self, mirror: Mirror, base: CloneBase, ref: str) -> "_Remote":
        """What the remote has now, of the base branch and of what the clone was made from.

        The clone's word for the latter is not taken: it is on the base branch, or it is in the repository
        anywhere, and then what it has is known, and not accepted.
        """
        branch = f"refs/heads/{branch_name(base.base_branch)}"
        refs = await mirror.fetch(self._remote, [branch], [ref])
        tip = refs.shas.get(branch)
        if tip is not None and await mirror.is_ancestor(base.base_sha, tip):
            return _Remote(refs, [base.base_sha, tip], [base.base_sha, tip])
        await mirror.fetch_commit(self._remote, _require_sha(base.base_sha))
        if tip is None:
            return _Remote(refs, [base.base_sha], [base.base_sha])
        return _Remote(refs, [base.base_sha, tip], [tip])

    async def _receive(self, taken: Quarantine, sha: str, base_sha: str) -> Path:
        """What the clone has of a commit beside the base, as a file of the quarantine's."""
        inside, target = f"{PRIVATE}/outgoing-{secrets.token_hex(8)}.pack", taken.directory / "incoming"
        try:
            packing = (REPOSITORY, sha, base_sha, inside, str(MAX_PACK_BYTES + 1))
            await self._git("Packing the change", scripts.PACK, *packing)
            if not await self._handle.download(inside, target, MAX_PACK_BYTES):
                raise ChangeTooLarge
        finally:
            await self._handle.run(["rm", "-f", inside], timeout_seconds=30)
        return target

    async def _require_merge(
        self, taken: Quarantine, merge: ExpectedMerge, sha: str, accepted: Sequence[str]
    ) -> None:
        """See that what was merged is in it, and protected paths are as either has them, or git merges."""
        for part, whole in ((merge.sha, sha), (merge.base, merge.sha), (merge.head, merge.sha)):
            if not await taken.is_ancestor(part, whole):
                raise WorkTreeDamaged(f"The merge in the sandbox does not hold {part} any more.")
        allowed = [*accepted, merge.base, merge.head]
        if (merged := await taken.merge_tree(merge.base, merge.head)) is not None:
            allowed.append(merged)
        await require_untouched(taken, self._policy.protected, sha, allowed)

    async def _with_mirror(self, work: Callable[[Mirror], Awaitable[T]]) -> T:
        """Work with the mirror of the remote; one that proves damaged is made anew, once.

        On a disk that is full, others that nobody uses make room for it, once.
        """
        mirror = self._cache.mirror(self._remote.url)
        tried: set[type[UpstreamFailed]] = set()
        while True:
            try:
                with raise_disk_full():
                    async with mirror.lock_for_use():
                        return await work(mirror)
            except (MirrorDamaged, DiskFull) as error:
                if type(error) in tried:
                    if isinstance(error.__cause__, WorkTreeDamaged):
                        raise error.__cause__ from None  # a new mirror did not help: it is the sandbox
                    raise
                tried.add(type(error))
                await (mirror.remove() if isinstance(error, MirrorDamaged) else self._cache.free_disk())

    async def _git(
        self,
        doing: str,
        script: str,
        *values: str,
        who: tuple[str, str] | None = None,
        check: bool = True,
        tries: int = MAX_ATTEMPTS,
        seconds: int = GIT_TIMEOUT_SECONDS,
    ) -> Completed:
        envs = {**_GIT_ENVIRONMENT, "GIT_CONFIG_COUNT": str(len(_GIT_CONFIG))}
        for number, (key, value) in enumerate(_GIT_CONFIG.items()):
            envs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if who is not None:
            for role in ("AUTHOR", "COMMITTER"):
                envs |= {f"GIT_{role}_NAME": who[0], f"GIT_{role}_EMAIL": who[1]}
        command = ["bash", "-c", scripts.WITH_LOCK + script, "git", *values]
        for attempt in range(tries):
            if attempt:
                await asyncio.sleep(RETRY_SECONDS * attempt)
            done = await self._handle.run(command, envs=envs, timeout_seconds=seconds)
            if done.exit_code == 0 or not check:
                return done
            if done.exit_code in (TIMED_OUT, LOCK_BUSY_EXIT_CODE):
                raise UpstreamFailed(f"{doing} took too long in the sandbox and was stopped.")
        words = self._policy.redactor.redact_text((done.stdout + done.stderr).strip())[-300:]
        raise WorkTreeDamaged(f"{doing} failed in the sandbox's clone: {words}")


@dataclass(frozen=True)
class _Remote:
    """What the remote has."""

    refs: Refs
    known: Sequence[str]
    """Commits of it: nothing of them is new to it."""
    accepted: Sequence[str]
    """Those of the base branch: protected paths may be as they have them."""


@dataclass(frozen=True)
class _CloneRequest:
    """What a clone is to be like."""

    base: str | None
    branch: str
    restore: Sequence[str]
    pushed: str | None
    others: Sequence[str]
    resume: bool
    at: str | None
    pushed_sha: str | None
    needs_checkpoint: bool

    @property
    def refs(self) -> list[str]:
        """What the remote is asked for, the base first."""
        names = [
            *([self.branch] if self.resume else []),
            *([self.pushed] if self.pushed else []),
            *self.others,
        ]
        base = f"refs/heads/{self.base}" if self.base else "HEAD"
        return list(dict.fromkeys([base, *(f"refs/heads/{name}" for name in names), *self.restore]))

    def base_in(self, refs: Refs) -> str:
        """The base branch's name.  Raises `BaseBranchMissing`, and `BranchMissing` for another one."""
        if self.resume and f"refs/heads/{self.branch}" in refs.shas:
            base = self.branch
        elif self.base is None:
            base = branch_name(refs.default_branch or "main")
            if "HEAD" not in refs.shas:
                raise BaseBranchMissing(
                    "The repository has no commits yet: push a first commit, then start the run."
                )
        elif f"refs/heads/{self.base}" in refs.shas:
            base = self.base
        else:
            raise BaseBranchMissing(
                f"The base branch {self.base!r} does not exist in the repository: choose another, or create "
                "it."
            )
        needed = [*self.others, *([self.pushed] if self.pushed else [])]
        if missing := [name for name in needed if f"refs/heads/{name}" not in refs.shas]:
            raise BranchMissing(f"The branch {missing[0]!r}, which the run needs, does not exist.")
        return base


async def _is_same_work(mirror: Mirror, taken: Quarantine, there: str, sha: str) -> bool:
    """Whether the remote's commit is of the same files and in the same words.

    Then it was pushed by an attempt that was killed before it could say so, from a sandbox that is lost.
    """
    return await mirror.content(there) == await taken.content(sha)


def _require_sha(value: str) -> str:
    if not SHA.match(value):
        raise UpstreamRefused(f"{value[:80]!r} is not a commit: send its full hexadecimal name.")
    return value


def _require_hidden_ref(value: str) -> str:
    prefix = "refs/codecourier/"
    if not value.startswith(prefix):
        raise UpstreamRefused(f"{value[:200]!r} is not a hidden ref of ours.")
    branch_name(value.removeprefix(prefix))
    return value


def _split_output(printed: str, count: int) -> list[str]:
    words = printed.split()
    if len(words) != count:
        raise WorkTreeDamaged("The clone in the sandbox gave an answer that means nothing.")
    return words
