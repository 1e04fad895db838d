"""What the watch on the disk counts, and that a look which takes long holds up nobody else."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from e2b import AsyncSandbox, CommandExitException

from local.sandboxes.limits.disk import DiskUsage, measure_usage
from local.stack.ports import free_ports
from tests.support.sandbox_server import SandboxServer, wait_until

SIZE = 1 << 20
HOLDERS = {
    "nothing": "",
    "two descriptors": "f = make(); kept = [f, os.dup(f)]; os.unlink('file')",
    "a file that never had a name": "f = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(f, bytes(SIZE))",
    "a thread's own table": (
        "def hold():\n"
        "    assert ctypes.CDLL(None).unshare(0x400) == 0\n"
        "    make(); os.unlink('file'); held.set(); time.sleep(60)\n"
        "held = threading.Event(); threading.Thread(target=hold, daemon=True).start(); held.wait()"
    ),
    "a mapping": "f = make(); kept = mmap.mmap(f, 4096); os.close(f); os.unlink('file')",
}


@pytest.fixture
def directory() -> Iterator[Path]:
    """That of a sandbox, on a disk."""
    directory = Path(tempfile.mkdtemp(prefix="disk-", dir="/var/tmp"))
    (directory / "record.json").touch()
    yield directory
    shutil.rmtree(directory)


@pytest.fixture
def slow_du(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk so slow that `du` is never done with a directory that has `home/slow` in it."""
    program = tmp_path / "bin" / "du"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        "for directory; do :; done\n"
        'if [ -e "$directory/home/slow" ]; then exec sleep 600; fi\n'
        f'exec {shutil.which("du")} "$@"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.mark.parametrize("holder", HOLDERS)
async def test_files_without_a_name_count_once_however_they_are_held(directory: Path, holder: str) -> None:
    if holder == "a mapping" and os.geteuid() != 0:
        pytest.skip("only root may ask about what is mapped and not open")
    script = (
        "import ctypes, mmap, os, sys, threading, time\n"
        f"SIZE = {SIZE}\n"
        "def make():\n"
        "    f = os.open('file', os.O_CREAT | os.O_RDWR); os.write(f, bytes(SIZE)); return f\n"
        "open('a file (deleted)', 'wb').write(bytes(SIZE))\n"
        "named = os.open('a file (deleted)', os.O_RDONLY)\n"
        "memory = os.memfd_create('memory'); os.write(memory, bytes(SIZE))\n"
        f"{HOLDERS[holder]}\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    command = 'exec 3<&0; "$@" <&3 & wait'
    top = subprocess.Popen(
        ["/bin/sh", "-c", command, "sh", sys.executable, "-c", script],
        cwd=directory,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,  # pytest's own is a file without a name
    )
    assert top.stdin is not None
    assert top.stdout is not None
    assert top.stdout.readline() == b"held\n"
    during = await measure_usage(directory, os.geteuid(), top.pid, 60)
    top.communicate(b"")
    after = await measure_usage(directory, os.geteuid(), None, 60)
    assert after.files == 3, "the directory, its record and the file that is still there"
    assert SIZE <= after.size < 2 * SIZE
    held = 0 if holder == "nothing" else 1
    assert during == DiskUsage(after.size + held * SIZE, after.files + held)


async def test_a_look_that_takes_too_long_is_given_up_with_its_du(directory: Path, slow_du: None) -> None:
    (directory / "home").mkdir()
    (directory / "home" / "slow").touch()
    with pytest.raises(TimeoutError):
        await measure_usage(directory, os.geteuid(), None, 0.5)
    wait_until(
        lambda: not any(it.name() in ("du", "sleep") for it in psutil.Process().children(recursive=True))
    )


async def test_a_directory_that_is_gone_is_no_empty_one(directory: Path) -> None:
    with pytest.raises(OSError, match="du ended with 1 and no answer"):
        await measure_usage(directory / "gone", os.geteuid(), None, 60)


async def test_the_number_of_files_is_bounded(directory: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An empty file takes nothing but an inode: 16 MiB may be 2,048 files."""
    server = SandboxServer(directory / "data", free_ports(1)[0], disk_mb=16)
    server.start()
    try:
        sandbox = await AsyncSandbox.create("base", **server.options)
        write = "for i in $(seq 60); do mkdir d$i; touch d$i/{1..200}; sleep 0.1; done; echo wrote"
        with pytest.raises(CommandExitException) as ended:
            await sandbox.commands.run(f"bash -c '{write}'", timeout=120)
        assert "wrote" not in ended.value.stdout
        assert (await sandbox.commands.run("rm -r d* && echo empty")).stdout == "empty\n"
    finally:
        server.stop()
    assert f"sandbox {sandbox.sandbox_id} is over its 16 MiB or 2048 files of disk" in capfd.readouterr().err


async def test_a_slow_look_holds_up_no_other_and_does_not_go_on_for_ever(
    directory: Path, slow_du: None, capfd: pytest.CaptureFixture[str]
) -> None:
    server = SandboxServer(directory / "data", free_ports(1)[0], disk_mb=64, disk_look_seconds=8)
    server.start()
    try:
        slow, quick = [await AsyncSandbox.create("base", **server.options) for _ in range(2)]
        await slow.files.write("slow", "")
        waiting = await slow.commands.run("sleep 300", background=True, timeout=0)
        write = "for i in $(seq 60); do head -c 5000000 /dev/zero > part$i; sleep 0.1; done; echo wrote"
        with pytest.raises(CommandExitException) as ended:
            await quick.commands.run(write, timeout=120)
        assert "wrote" not in ended.value.stdout
        with pytest.raises(CommandExitException):
            await waiting.wait()
    finally:
        server.stop()
    log = capfd.readouterr().err
    late = f"sandbox {slow.sandbox_id}: its files were not counted within 8 s"
    assert f"{late}\n" in log
    assert f"{late} again: its commands are killed\n" in log
    assert f"sandbox {quick.sandbox_id} is over its 64 MiB or 8192 files of disk" in log
