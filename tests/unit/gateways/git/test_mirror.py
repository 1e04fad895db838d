"""The cache of clones: shared, proved anew at every use, bounded, and made anew when it is damaged."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from gateways.git.cache import CloneCache
from gateways.git.errors import GitAuthenticationRefused
from gateways.git.locks import acquire
from gateways.git.mirror import MAX_EXPORTS, Mirror
from gateways.git.process import DiskFull, Git, GitUnusable, token_config
from gateways.git.remote import Remote
from gateways.git.repository import Repository
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from local.forge.seed import seed
from tests.support.git_objects import ObjectWriter
from tests.support.servers import FORGE_TOKEN, ServedDirectory


@pytest.fixture
async def second(sandboxes: SandboxProvider) -> AsyncIterator[SandboxHandle]:
    marker = {"test": uuid4().hex}
    yield await sandboxes.ensure(marker, template="base", timeout_seconds=300)
    await sandboxes.kill_all(marker)


def packs(mirror: Mirror) -> set[tuple[str, float]]:
    return {(path.name, path.stat().st_mtime) for path in mirror.objects.glob("pack/*.pack")}


async def in_repo(handle: SandboxHandle, command: str) -> str:
    done = await handle.run(command, cwd="/home/user/repo", timeout_seconds=60)
    assert done.exit_code == 0, done.stderr
    return done.stdout


async def test_what_is_cached_is_not_fetched_again(
    cache: CloneCache, url: str, handle: SandboxHandle, second: SandboxHandle
) -> None:
    first = await Repository(handle, url, FORGE_TOKEN, cache).clone(None, "one")
    mirror = cache.mirror(url)
    there = packs(mirror)
    assert len(there) == 1
    assert await Repository(second, url, FORGE_TOKEN, cache).clone(None, "two") == first
    assert packs(mirror) == there
    assert (
        await in_repo(second, "git fsck --strict; cat README.md; git branch --show-current")
        == "# Hello\ntwo\n"
    )


async def test_who_lost_access_gets_nothing_of_what_is_cached(
    cache: CloneCache, url: str, handle: SandboxHandle, second: SandboxHandle
) -> None:
    await Repository(handle, url, FORGE_TOKEN, cache).clone(None, "one")
    with pytest.raises(GitAuthenticationRefused):
        await Repository(second, url, "a-token-that-was-revoked", cache).clone(None, "two")
    done = await second.run("ls /home/user/repo", timeout_seconds=30)
    assert done.exit_code != 0


async def test_only_what_was_asked_for_leaves_the_mirror(
    cache: CloneCache,
    url: str,
    remote: Remote,
    mirror: Mirror,
    base: str,
    workshop: ObjectWriter,
    handle: SandboxHandle,
) -> None:
    """Another project fetched a branch that this one did not ask for."""
    blob = workshop.blob(b"of another branch\n")
    sha = workshop.commit(workshop.tree({"other": ("100644", blob)}), base)
    await push(workshop, remote, sha, "refs/heads/other")
    await mirror.fetch(remote, ["refs/heads/main", "refs/heads/other"])
    await Repository(handle, url, FORGE_TOKEN, cache).clone("main", "work")
    done = await handle.run(f"git -C repo cat-file -e {blob}", timeout_seconds=30)
    assert done.exit_code != 0
    assert await in_repo(handle, "git fsck --connectivity-only; git for-each-ref --format='%(refname)'") == (
        "refs/codecourier/base\nrefs/heads/work\nrefs/remotes/origin/main\n"
    )


async def test_a_base_that_moved_on_is_sent_as_what_is_new(
    cache: CloneCache,
    url: str,
    remote: Remote,
    mirror: Mirror,
    base: str,
    workshop: ObjectWriter,
    handle: SandboxHandle,
) -> None:
    async with mirror.packs(base, []) as whole:
        assert len(whole) == 1
    blob = workshop.blob(b"newer\n")
    sha = workshop.commit(workshop.tree({"newer": ("100644", blob)}), base)
    await push(workshop, remote, sha, "refs/heads/main")
    await mirror.fetch(remote, ["refs/heads/main"])
    async with mirror.packs(sha, []) as both:
        assert both[0].pack.stem == base
        assert len(both) == 2
    await Repository(handle, url, FORGE_TOKEN, cache).clone("main", "work")
    assert await in_repo(handle, "git fsck --strict; ls; git rev-list --count HEAD") == "newer\n2\n"


async def test_an_increment_that_grew_becomes_an_export(
    remote: Remote, mirror: Mirror, base: str, workshop: ObjectWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateways.git.mirror.MIN_REEXPORT_BYTES", 0)
    sha = base
    for number in range(MAX_EXPORTS + 1):
        blob = workshop.blob(os.urandom(20_000))
        sha = workshop.commit(workshop.tree({f"{number}": ("100644", blob)}), sha)
        await push(workshop, remote, sha, "refs/heads/main")
        await mirror.fetch(remote, ["refs/heads/main"])
        async with mirror.packs(sha, []) as sent:
            assert [pack.pack.stem for pack in sent] == [sha]
    assert len(list((mirror.directory / "exports").glob("*.pack"))) == MAX_EXPORTS


@pytest.mark.parametrize("what", ["repository/objects/pack/*.pack", "exports/*.pack", "repository/HEAD"])
async def test_a_damaged_cache_is_made_anew(
    cache: CloneCache, url: str, handle: SandboxHandle, second: SandboxHandle, what: str
) -> None:
    first = await Repository(handle, url, FORGE_TOKEN, cache).clone(None, "one")
    mirror = cache.mirror(url)
    for path in mirror.directory.glob(what):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-30] + b"x" * 9)
    assert await Repository(second, url, FORGE_TOKEN, cache).clone(None, "two") == first
    assert await in_repo(second, "git fsck --strict; cat README.md") == "# Hello\n"


async def test_a_damaged_cache_stops_no_push(
    cache: CloneCache, url: str, handle: SandboxHandle, remote: Remote
) -> None:
    repository = Repository(handle, url, FORGE_TOKEN, cache)
    cloned = await repository.clone(None, "work")
    mirror = cache.mirror(url)
    for path in mirror.directory.glob("*/**/*.pack"):
        path.chmod(0o600)
        path.write_bytes(b"nothing of a pack")
    await in_repo(handle, "echo more >>README.md")
    sha = await repository.commit(cloned.base_sha, "More", name="A", email="a@example.com")
    assert sha is not None
    assert await repository.push(sha, "work", cloned) == sha
    async with cache.mirror(url).lock_for_use():
        found = await remote.read_refs(["refs/heads/work"], cache.mirror(url).repository)
    assert found.shas["refs/heads/work"] == sha


async def test_workers_of_one_host_share_a_mirror(
    cache: CloneCache,
    forge: ServedDirectory,
    sandboxes: SandboxProvider,
    handle: SandboxHandle,
    second: SandboxHandle,
) -> None:
    """Both begin with nothing at the same moment; one fetches, and both have all of it."""
    name = f"repo-{uuid4().hex[:12]}"
    await seed(forge.data, "codecourier", name, {f"f{n}": f"{n}\n" for n in range(50)})
    url = f"{forge.url}/codecourier/{name}.git"
    other = CloneCache(Git(), cache.directory, 1_000_000_000)
    one, two = await asyncio.gather(
        Repository(handle, url, FORGE_TOKEN, cache).clone(None, "one"),
        Repository(second, url, FORGE_TOKEN, other).clone(None, "two"),
    )
    assert one == two
    assert len(packs(cache.mirror(url))) == 1
    for box in (handle, second):
        assert await in_repo(box, "git fsck --strict; ls | wc -l") == "50\n"


async def test_the_cache_is_bounded(tmp_path: Path, forge: ServedDirectory, cache: CloneCache) -> None:
    """What was used last stays; what is in use stays, too, however old it is."""
    small = CloneCache(cache.git, cache.directory.with_name("small"), 1_000_000)
    mirrors = []
    for number in range(4):
        name = f"repo-{uuid4().hex[:12]}"
        await seed(forge.data, "codecourier", name, {"a": os.urandom(300_000).hex()})
        remote = Remote(small.git, f"{forge.url}/codecourier/{name}.git", FORGE_TOKEN)
        mirror = small.mirror(remote.url)
        async with mirror.lock_for_use():
            await mirror.fetch(remote, ["refs/heads/main"])
        os.utime(mirror.directory / "used", (number, number))
        mirrors.append(mirror)
    async with mirrors[0].lock_for_use():
        os.utime(mirrors[0].directory / "used", (0, 0))
        await small.evict_to_fit()
        assert mirrors[0].directory.exists()
    assert not mirrors[1].directory.exists()
    assert mirrors[3].directory.exists()
    await small.evict_to_fit()
    assert [mirror.directory.exists() for mirror in mirrors].count(True) <= 3


async def test_a_cache_of_somebody_else_is_not_used(cache: CloneCache, tmp_path: Path) -> None:
    link = cache.directory.with_name("link")
    link.symlink_to(tmp_path)
    with pytest.raises(GitUnusable, match="set GIT_CACHE_DIR"):
        CloneCache(cache.git, link, 1_000_000)


@pytest.mark.skipif(os.geteuid() != 0, reason="git is the same user otherwise")
async def test_a_cache_that_git_cannot_enter_is_named(cache: CloneCache, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(GitUnusable, match="every user may pass through"):
        CloneCache(cache.git, tmp_path / "closed", 1_000_000)


async def push(workshop: ObjectWriter, remote: Remote, sha: str, ref: str) -> None:
    [(key, value)] = token_config(remote.url, FORGE_TOKEN).items()
    await asyncio.to_thread(
        workshop.git, "-c", f"{key}={value}", "push", "--quiet", remote.url, f"{sha}:{ref}"
    )


async def test_what_a_killed_git_left_blocks_no_later_fetch(
    mirror: Mirror, remote: Remote, base: str, workshop: ObjectWriter
) -> None:
    incoming = mirror.repository / "refs" / "incoming"
    incoming.mkdir(exist_ok=True)
    mirror.git.give_ownership(incoming)
    left = [incoming / "0", incoming / "0.lock", mirror.repository / "packed-refs.lock"]
    for path in left:
        path.write_text(f"{base}\n")
    blob = workshop.blob(b"later\n")
    sha = workshop.commit(workshop.tree({"later": ("100644", blob)}), base)
    await push(workshop, remote, sha, "refs/heads/later")
    async with mirror.lock_for_use():
        assert not any(path.exists() for path in left)
        found = await mirror.fetch(remote, ["refs/heads/later"])
    assert found.shas["refs/heads/later"] == sha


async def test_what_is_at_work_in_a_mirror_is_swept_from_under_nobody(mirror: Mirror, base: str) -> None:
    incoming = mirror.repository / "refs" / "incoming" / "0"
    incoming.parent.mkdir(exist_ok=True)
    incoming.write_text(f"{base}\n")
    async with acquire(mirror.change_lock), mirror.lock_for_use():
        assert incoming.exists()


async def test_a_damaged_mirror_goes_once_and_from_under_nobody(cache: CloneCache, remote: Remote) -> None:
    """Two found the same damage while a third was at work."""
    first, second, third = (cache.mirror(remote.url) for _ in range(3))
    for mirror in (first, second):
        async with mirror.lock_for_use():
            await mirror.fetch(remote, ["refs/heads/main"])
    async with third.lock_for_use():
        removal = asyncio.create_task(first.remove())
        await asyncio.sleep(0.3)
        assert third.repository.is_dir()
    await removal
    assert not first.directory.exists()
    async with third.lock_for_use():
        await third.fetch(remote, ["refs/heads/main"])
    await second.remove()
    assert third.repository.is_dir(), "it is not the one that was damaged"


@pytest.fixture
def small_disk(cache: CloneCache) -> Iterator[Path]:
    """A disk of 8 MB of its own, where this host lets us have one."""
    directory = cache.directory.with_name("small-disk")
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this host lets nobody mount a disk here")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


async def test_a_full_disk_heals(
    small_disk: Path, cache: CloneCache, forge: ServedDirectory, handle: SandboxHandle
) -> None:
    """By removing what was not used for longest, but nothing that is in use; in vain, it is said."""
    full = CloneCache(cache.git, small_disk / "cache", 4_000_000)
    mirrors, urls = [], []
    for number in range(3):
        name = f"repo-{uuid4().hex[:12]}"
        await seed(forge.data, "codecourier", name, {"a": os.urandom(700_000).hex()})
        urls.append(f"{forge.url}/codecourier/{name}.git")
        mirrors.append(full.mirror(urls[-1]))
        if number < 2:
            remote = Remote(full.git, urls[-1], FORGE_TOKEN)
            async with mirrors[-1].lock_for_use():
                await mirrors[-1].fetch(remote, ["refs/heads/main"])
            os.utime(mirrors[-1].directory / "used", (number, number))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - 400_000)))
    async with mirrors[0].lock_for_use(), mirrors[1].lock_for_use():
        with pytest.raises(DiskFull, match="give GIT_CACHE_DIR more room"):
            await Repository(handle, urls[2], FORGE_TOKEN, full).clone(None, "work")
    os.utime(mirrors[0].directory / "used", (0, 0))
    async with mirrors[0].lock_for_use():
        cloned = await Repository(handle, urls[2], FORGE_TOKEN, full).clone(None, "work")
        assert cloned.base_branch == "main"
        assert mirrors[0].repository.is_dir()
    assert not mirrors[1].directory.exists()
