"""The processes of a sandbox, seen from outside: bwrap's child is the first inside, all others come of it."""

import asyncio
import contextlib
import signal

import psutil

_FREEZE_ROUNDS = 100


def running(process: asyncio.subprocess.Process | None) -> bool:
    return process is not None and process.returncode is None


async def end(bwrap: asyncio.subprocess.Process) -> None:
    """Kill every process of the sandbox; on return none is left.

    The first process inside is killed, and the kernel ends the others with it before bwrap learns of it and
    leaves. Killing bwrap would not tell when they are gone; it is done only where it has no child yet.
    """
    if not _signal(_descendants(bwrap, recursive=False), signal.SIGKILL) and running(bwrap):
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


def _descendants(bwrap: asyncio.subprocess.Process, *, recursive: bool = True) -> list[psutil.Process]:
    if not running(bwrap):
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
