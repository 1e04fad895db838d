"""A repository's mirror on the worker's disk: what was fetched of it once need not be fetched again.

Whoever uses it has shown with a token of their own what the remote's refs are; only what is reachable from
those leaves it.  What was fetched whole is remembered under `refs/seen/<commit>`.

    repository/     bare; every pack as it was fetched
    exports/        <commit>.pack and .idx: what is reachable from the commit and nothing else, for sandboxes
    used            its time is when the mirror was used last
    made            which one it is: a mirror that was made anew is another one

Any number of processes use it at once (a shared lock); one at a time adds to it (another lock); it is removed
whole, by whoever holds both, so that nobody loses what they use.  A damaged mirror is removed and made anew.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateways.errors import UpstreamFailed
from gateways.git.errors import CommitMissing
from gateways.git.locks import acquire, acquire_if_free
from gateways.git.process import TIMED_OUT, Completed, Git
from gateways.git.remote import TRANSFER_TIMEOUT_SECONDS, Refs, Remote
from kit.logs import logger

log = logger(__name__)

GIT_TIMEOUT_SECONDS: Final = 600
MAX_PACKS: Final = 50
"""More are made into one, as git looks into every one of them."""
MAX_EXPORTS: Final = 2
MAX_INCREMENT: Final = 0.25
"""Of an export's size: with more that is new beside it, the next export is made."""
MIN_REEXPORT_BYTES: Final = 20_000_000
"""An increment of less is never too large."""


class MirrorDamaged(UpstreamFailed):
    """The mirror's data cannot be read; it has to be made anew."""


@dataclass(frozen=True)
class Pack:
    """Objects of git, and where in it each is."""

    pack: Path
    index: Path

    @property
    def bytes(self) -> int:
        return self.pack.stat().st_size + self.index.stat().st_size


class Mirror:
    """That of one address."""

    def __init__(self, git: Git, directory: Path, locks: Path) -> None:
        self.git, self.directory, self._locks = git, directory, locks
        self.repository = directory / "repository"
        self._exports = directory / "exports"
        self._generation = ""
        """Which one was used here last."""

    @property
    def objects(self) -> Path:
        return self.repository / "objects"

    @property
    def use_lock(self) -> Path:
        return self._locks / f"{self.directory.name}.use"

    @property
    def change_lock(self) -> Path:
        return self._locks / f"{self.directory.name}.change"

    @asynccontextmanager
    async def lock_for_use(self) -> AsyncIterator[None]:
        """It stays while it is used; made if there is none."""
        async with acquire(self.use_lock, shared=True):
            if not self.repository.is_dir():
                async with acquire(self.change_lock):
                    if not self.repository.is_dir():
                        await self._make()
            (self.directory / "used").touch()
            self._generation = self._read_generation()
            await self._remove_leftovers()
            yield

    async def remove(self) -> None:
        """Make the one that was used here go, once nobody uses it; if another did so meanwhile, nothing."""
        async with acquire(self.use_lock), acquire(self.change_lock):
            if self._read_generation() == self._generation:
                await asyncio.to_thread(self.discard)

    def discard(self) -> None:
        """Make it go, for a caller that holds the locks."""
        if self.directory.exists():
            doomed = self.directory.with_name(f"doomed-{secrets.token_hex(8)}")
            self.directory.rename(doomed)
            shutil.rmtree(doomed, ignore_errors=True)

    async def fetch(self, remote: Remote, refs: Sequence[str], beside: Sequence[str] = ()) -> Refs:
        """What the remote has of these refs, all of it here then; the first is what most work starts from.

        beside: refs that are only looked at.

        Raises `gateways.errors`, first of all for a token that may not read the repository.
        """
        found = await remote.read_refs([*refs, *beside], self.repository)
        wanted = {ref: found.shas[ref] for ref in refs if ref in found.shas}
        if set(wanted.values()) <= await self._known_commits():
            return found
        async with acquire(self.change_lock):
            seen = await self._known_commits()
            missing = [ref for ref, sha in wanted.items() if sha not in seen]
            if missing and not seen:  # what is fetched first becomes an export as it is
                [first, *missing] = missing
                fetched = await self._fetch(remote, [first])
                self._export_whole(fetched[first])
                wanted |= fetched
            if missing:
                wanted |= await self._fetch(remote, missing)
            await self._repack_if_needed()
        return Refs(found.shas | wanted, found.default_branch)

    async def fetch_commit(self, remote: Remote, sha: str) -> None:
        """A commit that is reachable at the remote, though no ref that we know of leads to it any more.

        Raises `CommitMissing` when the remote says that it has none such.
        """
        if sha in await self._known_commits():
            await remote.read_refs([], self.repository)
            return
        async with acquire(self.change_lock):
            await remote.fetch([f"+{sha}:refs/incoming/0"], self.repository)
            await self._register_incoming({"": "refs/incoming/0"})

    async def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old`; False where the mirror does not have both."""
        done = await self._git("merge-base", "--is-ancestor", old, new)
        return done.exit_code == 0

    async def merge_base(self, one: str, other: str) -> str | None:
        done = await self._git("merge-base", one, other)
        if done.exit_code > 1:
            raise MirrorDamaged("The cache of the repository is damaged: git merge-base failed.")
        return done.text.strip() or None

    async def parent(self, sha: str) -> str:
        """A commit's first parent."""
        return await self._run("rev-parse", "--verify", f"{sha}^1")

    async def content(self, sha: str) -> str:
        """A commit's tree and message."""
        return await self._run("show", "--no-patch", "--format=%T%n%B", sha)

    async def is_sound(self, tips: Sequence[str]) -> bool:
        """Whether all commits and trees of these can be read, as far as there was time to see."""
        done = await self._git("rev-list", "--objects", "--quiet", *tips)
        return done.exit_code in (0, TIMED_OUT)

    @asynccontextmanager
    async def packs(self, base: str, tips: Sequence[str]) -> AsyncIterator[list[Pack]]:
        """Packs that together hold all that is reachable from these commits, and nothing else."""
        export = await self._export_within([base, *tips])
        if export is None:
            export = await self._export(base)
        elif export != base:
            async with self.increment([base], [export]) as added:
                limit = max(MIN_REEXPORT_BYTES, MAX_INCREMENT * self._pack_of(export).bytes)
                is_due = added is not None and added.bytes > limit
            if is_due:
                export = await self._export(base)
        async with self.increment([base, *tips], [export]) as added:
            yield [self._pack_of(export), *([added] if added is not None else [])]

    @asynccontextmanager
    async def increment(self, tips: Sequence[str], known: Sequence[str]) -> AsyncIterator[Pack | None]:
        """What the tips have beside what is known already; None when that is nothing."""
        draft = self.directory / f"sending-{secrets.token_hex(8)}"
        draft.mkdir(mode=0o700)
        self.git.give_ownership(draft)
        try:
            yield await self._pack(draft, tips, known)
        finally:
            await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)

    async def _make(self) -> None:
        """Begin with nothing; left half made, it is begun again."""
        await asyncio.to_thread(self.discard)
        self.directory.mkdir(mode=0o700)
        for path in (self.directory, self._exports):
            path.mkdir(mode=0o700, exist_ok=True)
            self.git.give_ownership(path)
        (self.directory / "made").write_text(secrets.token_hex(8))
        draft = self.directory / "draft"
        done = await self.git.run(
            "init", "--quiet", "--bare", "--template=", directory=draft, seconds=GIT_TIMEOUT_SECONDS
        )
        if done.exit_code != 0:
            raise UpstreamFailed(f"The cache for git cannot be written: {done.stderr.strip()[-300:]}")
        draft.rename(self.repository)

    def _read_generation(self) -> str:
        try:
            return (self.directory / "made").read_text()
        except FileNotFoundError:
            return ""

    async def _remove_leftovers(self) -> None:
        """Remove what a git that was killed left: refs that were not taken in, and locks that block the next.

        Whoever adds to the mirror makes such things, too, so nothing is swept meanwhile.
        """
        if not self._leftovers():
            return
        async with acquire_if_free(self.change_lock) as is_free:
            if is_free:
                for path in self._leftovers():
                    path.unlink(missing_ok=True)
                log.info("git.leftovers_removed", mirror=self.directory.name)

    def _leftovers(self) -> list[Path]:
        patterns = ("refs/incoming/*", "refs/seen/*.lock", "*.lock")
        return [path for pattern in patterns for path in self.repository.glob(pattern)]

    async def _known_commits(self) -> set[str]:
        """Commits that are here with all that they are made of."""
        return set((await self._run("for-each-ref", "--format=%(objectname)", "refs/seen/")).split())

    async def _fetch(self, remote: Remote, refs: Sequence[str]) -> dict[str, str]:
        incoming = {ref: f"refs/incoming/{number}" for number, ref in enumerate(refs)}
        try:
            await remote.fetch([f"+{ref}:{name}" for ref, name in incoming.items()], self.repository)
        except CommitMissing as error:
            raise UpstreamFailed(f"A branch moved while it was fetched: {error.message}") from error
        except UpstreamFailed as error:
            if type(error) is UpstreamFailed and not await self.is_sound(["--all"]):
                raise MirrorDamaged("The cache of the repository is damaged.") from error
            raise
        return await self._register_incoming(incoming)

    async def _register_incoming(self, incoming: dict[str, str]) -> dict[str, str]:
        listing = await self._run("for-each-ref", "--format=%(refname) %(objectname)", "refs/incoming/")
        shas = dict(line.split(" ", 1) for line in listing.splitlines())
        lines = [f"update refs/seen/{sha} {sha}" for sha in shas.values()]
        lines += [f"delete {name}" for name in shas]
        await self._run("update-ref", "--stdin", stdin="".join(f"{line}\n" for line in lines).encode())
        return {ref: shas[name] for ref, name in incoming.items()}

    async def _repack_if_needed(self) -> None:
        if len(list(self.objects.glob("pack/*.pack"))) > MAX_PACKS:
            await self._run("repack", "-a", "-d", "-q")
            await self._run("pack-refs", "--all")

    def _pack_of(self, sha: str) -> Pack:
        return Pack(self._exports / f"{sha}.pack", self._exports / f"{sha}.idx")

    def _export_whole(self, sha: str) -> None:
        """What was fetched first, and alone, is one pack of just that commit."""
        packs = list(self.objects.glob("pack/*.pack"))
        if len(packs) == 1:
            self._add_export(Pack(packs[0], packs[0].with_suffix(".idx")), sha)

    def _add_export(self, pack: Pack, sha: str) -> None:
        """As an export, under both its names at last: one without its index is none."""
        kept = self._pack_of(sha)
        for source, target in ((pack.pack, kept.pack), (pack.index, kept.index)):
            target.unlink(missing_ok=True)
            os.link(source, target)

    def _known_exports(self) -> list[str]:
        """The newest first."""
        found = [path for path in self._exports.glob("*.idx") if path.with_suffix(".pack").exists()]
        return [path.stem for path in sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)]

    async def _export_within(self, tips: Sequence[str]) -> str | None:
        """The newest export that one of these commits contains."""
        for sha in self._known_exports():
            if sha in tips:
                return sha
            for tip in dict.fromkeys(tips):
                if await self.is_ancestor(sha, tip):
                    return sha
        return None

    async def _export(self, sha: str) -> str:
        async with acquire(self.change_lock):
            known = self._known_exports()
            if sha not in known:
                draft = self.directory / f"sending-{secrets.token_hex(8)}"
                draft.mkdir(mode=0o700)
                self.git.give_ownership(draft)
                pack = await self._pack(draft, [sha], [])
                if pack is None:
                    raise MirrorDamaged(f"The cache has nothing of the commit {sha}.")
                self._add_export(pack, sha)
                await asyncio.to_thread(shutil.rmtree, draft, ignore_errors=True)
                for old in known[MAX_EXPORTS - 1 :]:
                    for path in (self._pack_of(old).index, self._pack_of(old).pack):
                        path.unlink(missing_ok=True)
        return sha

    async def _pack(self, draft: Path, tips: Sequence[str], known: Sequence[str]) -> Pack | None:
        wanted = "".join(f"{tip}\n" for tip in dict.fromkeys(tips)) + "".join(f"^{sha}\n" for sha in known)
        arguments = ("pack-objects", "--quiet", "--revs", "--delta-base-offset", str(draft / "pack"))
        name = await self._run(*arguments, stdin=wanted.encode(), seconds=TRANSFER_TIMEOUT_SECONDS)
        pack = Pack(draft / f"pack-{name}.pack", draft / f"pack-{name}.idx")
        is_empty = int.from_bytes((await asyncio.to_thread(_head, pack.pack))[8:12], "big") == 0
        return None if is_empty else pack

    async def _git(
        self, *arguments: str, stdin: bytes = b"", seconds: float = GIT_TIMEOUT_SECONDS
    ) -> Completed:
        return await self.git.run(*arguments, directory=self.repository, seconds=seconds, stdin=stdin)

    async def _run(self, *arguments: str, stdin: bytes = b"", seconds: float = GIT_TIMEOUT_SECONDS) -> str:
        """What git prints.  Raises `MirrorDamaged`: none of these commands fails but of that, or of time."""
        done = await self._git(*arguments, stdin=stdin, seconds=seconds)
        if done.exit_code == TIMED_OUT:
            raise UpstreamFailed(f"git {arguments[0]} took too long in the cache and was stopped.")
        if done.exit_code != 0:
            log.warning("git.mirror_damaged", command=arguments[0], output=done.stderr.strip()[-500:])
            raise MirrorDamaged(f"The cache of the repository is damaged: git {arguments[0]} failed.")
        return done.text.strip()


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(12)
