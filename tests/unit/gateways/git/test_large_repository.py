"""A large repository through the product: cloned, cloned again from the cache, changed and pushed."""

import os
import subprocess
import time
from collections.abc import Iterator
from uuid import uuid4

import psutil
import pytest

from gateways.git.cache import CloneCache
from gateways.git.repository import CloneBase, Repository
from gateways.sandboxes.control import SandboxProvider
from local.forge.seed import seed
from tests.support.git_objects import AUTHOR
from tests.support.servers import FORGE_TOKEN, ServedDirectory

FILES, FILE_BYTES, VERSIONS = 50_000, 200, 30
MAX_GROWTH_BYTES = 120_000_000
"""By which this process, as a worker, may grow: it is the same for a repository of any size."""


def history() -> Iterator[bytes]:
    """For `git fast-import`: 50,000 files, each changed again and again; 300 MB that do not compress."""
    for version in range(VERSIONS):
        message = b"Version %d" % version
        yield b"commit refs/heads/main\ncommitter %s\ndata %d\n%s\n" % (
            AUTHOR.encode(),
            len(message),
            message,
        )
        for number in range(FILES):
            yield b"M 100644 inline d%d/e%d/f%d\ndata %d\n" % (
                number % 100,
                number % 1_000 // 100,
                number,
                FILE_BYTES,
            )
            yield os.urandom(FILE_BYTES) + b"\n"
        yield b"\n"


@pytest.fixture
async def url(forge: ServedDirectory) -> str:
    name = f"large-{uuid4().hex[:12]}"
    assert await seed(forge.data, "codecourier", name, {"README.md": "# Large\n"})
    [bare] = forge.data.rglob(f"{name}.git")
    importing = ["git", f"--git-dir={bare}", "fast-import", "--quiet", "--force"]
    with subprocess.Popen(importing, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.writelines(history())
    assert process.returncode == 0
    return f"{forge.url}/codecourier/{name}.git"


@pytest.mark.soak
async def test_a_large_repository_is_cloned_changed_and_pushed(
    url: str, sandboxes: SandboxProvider, cache: CloneCache, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker hardly grows; how long each part takes is printed: no machine can promise it."""
    seconds, cloned = [], CloneBase("main", "")
    marker = {"test": uuid4().hex}
    before = psutil.Process().memory_info().rss
    for number in range(2):
        box = {**marker, "number": str(number)}
        handle = await sandboxes.ensure(box, template="base", timeout_seconds=3_000)
        repository = Repository(handle, url, FORGE_TOKEN, cache)
        started = time.perf_counter()
        cloned = await repository.clone(None, f"work-{number}")
        seconds.append(time.perf_counter() - started)
    await handle.run("echo changed >repo/d1/e0/f1; echo new >repo/new", timeout_seconds=60)
    started = time.perf_counter()
    sha = await repository.commit(cloned.base_sha, "Changed", name="A", email="a@example.com")
    assert sha is not None
    await repository.push(sha, "work", cloned)
    pushing = time.perf_counter() - started
    grown = psutil.Process().memory_info().rss
    with capsys.disabled():
        first, second = seconds
        print(
            f"\nclone {first:.1f} s, again {second:.1f} s ({second / first:.2f}); "
            f"commit and push {pushing:.1f} s; the worker grew by {(grown - before) / 1e6:.0f} MB"
        )
    await sandboxes.kill_all(marker)
    assert grown - before <= MAX_GROWTH_BYTES
