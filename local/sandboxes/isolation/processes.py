"""The processes of a sandbox, seen from outside: bwrap's child is the first inside, all others come of it."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil

_FREEZE_ROUNDS = 100
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Process:
    """A process of the host as `/proc` shows it: cheaper than psutil's where thousands are looked at."""

    pid: int
    parent: int
    started: int
    """Clock ticks after the host's start; with `pid` it names this process and no later one."""
    resident: int
    """Bytes."""


def snapshot() -> list[Process]:
    """All processes of the host.  Raises OSError where `/proc` cannot be listed."""
    return [it for name in os.listdir("/proc") if name.isdecimal() and (it := _read(int(name))) is not None]


def list_processes(bwrap: int, processes: Iterable[Process]) -> list[Process]:
    """Those of the sandbox that this bwrap runs, its init and envd among them."""
    children = _children(processes)
    found, left = [], [bwrap]
    while left:
        below = children.get(left.pop(), [])
        found += below
        left += [it.pid for it in below]
    return found


def list_commands(bwrap: int, processes: Iterable[Process]) -> list[Process]:
    """Those of the sandbox but its init and its envd, without which it would be no sandbox any more.

    Init is bwrap's only child; envd is init's first, older than all that init adopts.  A pid says nothing:
    pids begin again when they are used up, which a command can bring about.
    """
    those = list_processes(bwrap, processes)
    init = [it for it in those if it.parent == bwrap]
    started = [it for it in those if it.parent in {that.pid for that in init}]
    envd = sorted(started, key=lambda it: it.started)[:1]
    return [it for it in those if it not in init and it not in envd]


def kill(process: Process) -> None:
    """Kill it, unless it is gone and its pid another's by now."""
    with contextlib.suppress(ProcessLookupError), _pidfd(process.pid) as handle:
        now = _read(process.pid)
        if now is not None and now.started == process.started:
            signal.pidfd_send_signal(handle, signal.SIGKILL)


def is_running(process: asyncio.subprocess.Process | None) -> bool:
    return process is not None and process.returncode is None


async def kill_all(bwrap: asyncio.subprocess.Process) -> None:
    """Kill every process of the sandbox; on return none is left.

    The first process inside is killed, and the kernel ends the others with it before bwrap learns of it and
    leaves. Killing bwrap would not tell when they are gone; it is done only where it has no child yet.
    """
    if not _signal(_descendants(bwrap, recursive=False), signal.SIGKILL) and is_running(bwrap):
        bwrap.kill()
    await bwrap.wait()


def freeze(bwrap: asyncio.subprocess.Process) -> None:
    """Stop every process; again, while those not yet stopped made new ones."""
    for _ in range(_FREEZE_ROUNDS):
        moving = [process for process in _descendants(bwrap) if not _stopped(process)]
        if not _signal(moving, signal.SIGSTOP):
            return


def thaw(bwrap: asyncio.subprocess.Process) -> None:
    _signal(_descendants(bwrap), signal.SIGCONT)


def _read(pid: int) -> Process | None:
    """None where it is gone, or another user's whom this host hides."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return Process(pid, int(fields[1]), int(fields[19]), int(fields[21]) * _PAGE)


def _children(processes: Iterable[Process]) -> dict[int, list[Process]]:
    children: dict[int, list[Process]] = {}
    for process in processes:
        children.setdefault(process.parent, []).append(process)
    return children


@contextlib.contextmanager
def _pidfd(pid: int) -> Iterator[int]:
    """A descriptor that means this process even when its pid is used again.  Raises ProcessLookupError."""
    handle = os.pidfd_open(pid)
    try:
        yield handle
    finally:
        os.close(handle)


def _descendants(bwrap: asyncio.subprocess.Process, *, recursive: bool = True) -> list[psutil.Process]:
    if not is_running(bwrap):
        return []
    try:
        return psutil.Process(bwrap.pid).children(recursive=recursive)
    except psutil.NoSuchProcess:
        return []


def _stopped(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _signal(processes: list[psutil.Process], number: signal.Signals) -> int:
    """Signal them all; returns how many there were."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    return len(processes)
