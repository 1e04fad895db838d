"""git as a process: what it may use, what it sees, and that none of it is left."""

import asyncio
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from gateways.errors import UpstreamFailed
from gateways.git import process
from gateways.git.mirror import Mirror
from gateways.git.process import GIT_UID, TIMED_OUT, Git, GitUnusable, Limits, check_version, token_config
from tests.support.waiting import TEST_TIMEOUT_SECONDS

TOKEN = "token-of-the-test-0123456789"


async def shell(mirror: Mirror, script: str, seconds: float = 30) -> process.Completed:
    """What a script says that git itself starts."""
    arguments = ("-c", f"alias.probe=!{script}", "probe")
    config = token_config("https://example.com/a/b.git", TOKEN)
    return await mirror.git.run(*arguments, directory=mirror.repository, seconds=seconds, config=config)


async def test_a_process_has_limits_and_nothing_else_of_the_workers(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENCRYPTION_KEYS", "a-key-of-the-worker")
    done = await shell(mirror, "ulimit -v; ulimit -f; ulimit -t; ulimit -n; id -u; env")
    assert done.exit_code == 0, done.stderr
    *bounds, uid = done.text.split("\n")[:5]
    assert tuple(bounds) == Limits().ulimit_arguments
    assert int(uid) == (GIT_UID if os.geteuid() == 0 else os.geteuid())
    assert "a-key-of-the-worker" not in done.text
    assert "GIT_CONFIG_GLOBAL=/dev/null" in done.text


async def test_a_token_is_no_argument_of_any_process(mirror: Mirror) -> None:
    encoded = token_config("x", TOKEN)["http.x.extraHeader"]
    work = asyncio.create_task(shell(mirror, "sleep 30"))
    child = await _child()
    family = [child, *child.children(recursive=True)]
    assert not [each for each in family if TOKEN in str(each.cmdline()) or encoded in str(each.cmdline())]
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)
    assert psutil.wait_procs(family, timeout=TEST_TIMEOUT_SECONDS)[1] == []


async def test_a_process_that_is_too_slow_is_killed(mirror: Mirror) -> None:
    work = asyncio.create_task(shell(mirror, "sleep 30", seconds=3))
    child = await _child()
    family = [child, *child.children(recursive=True)]
    assert (await work).exit_code == TIMED_OUT
    assert psutil.wait_procs(family, timeout=TEST_TIMEOUT_SECONDS)[1] == []


async def _child() -> psutil.Process:
    """The process that sleeps, once it does."""
    for _ in range(500):
        for child in psutil.Process().children(recursive=True):
            if child.name() == "sleep":
                group = os.getpgid(child.pid)
                return psutil.Process(group)
        await asyncio.sleep(0.02)
    raise AssertionError("nothing sleeps")


async def test_output_without_end_is_refused(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_OUTPUT_BYTES", 1_000_000)
    with pytest.raises(UpstreamFailed, match="more than anybody"):
        await shell(mirror, "yes")


async def test_memory_is_bounded(mirror: Mirror) -> None:
    """A process that wants more than it may have fails by itself."""
    script = f"{sys.executable} -c 'bytearray(3_000_000_000)'"
    done = await shell(mirror, script)
    assert done.exit_code != 0


def test_a_git_that_is_missing_or_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_version().startswith("2.")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitUnusable, match=r"git is missing: install git 2\.38 or later"):
        check_version()
    old = tmp_path / "git"
    old.write_text("#!/bin/sh\necho git version 2.30.1\n")
    old.chmod(0o755)
    with pytest.raises(GitUnusable, match=r"git version 2\.30\.1 is too old"):
        check_version()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_worker_that_is_not_root_runs_git_in_a_namespace_of_its_own() -> None:
    identity = ("setpriv", "--reuid=64000", "--regid=64000", "--clear-groups", "--")
    done = subprocess.run(
        [*identity, "/usr/bin/env", "-i", "PATH=/usr/bin:/bin", "unshare", "--user", "true"],
        capture_output=True,
        check=False,
    )
    name = "own namespace" if done.returncode == 0 else "none"
    pid = os.fork()
    if pid == 0:
        os.setgid(64000)
        os.setuid(64000)
        process.isolation.cache_clear()
        os._exit(0 if process.isolation().name == name else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


async def test_work_waits_for_its_turn(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "MAX_CONCURRENT_PROCESSES", 1)
    git, seen = Git(), []

    async def one() -> None:
        script = "alias.probe=!ls /proc | wc -l; sleep 0.2"
        await git.run("-c", script, "probe", directory=mirror.repository, seconds=30)
        seen.append(time.monotonic())

    await asyncio.gather(one(), one(), one())
    assert all(later - earlier > 0.15 for earlier, later in pairwise(seen))
