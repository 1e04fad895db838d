"""Control groups (v2): the kernel's limits for all processes of a sandbox together, where they are writable.

A sandbox's group is made beside the server's own, or at the top of the hierarchy: wherever this user may make
one and memory and processes are counted.  systemd gives such a place to its users' sessions (`systemd-run
--user --scope`) and to services with `Delegate=yes` and `DelegateSubgroup=`.
"""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

from local.sandboxes.limits.size import Size

MOUNTS = Path("/proc/self/mounts")
OWN = Path("/proc/self/cgroup")
MAX_PROCESSES = 2048
_REQUIRED_CONTROLLERS = frozenset({"memory", "pids"})
_PERIOD_MICROSECONDS = 100_000


def find_parent(mounts: Path = MOUNTS, own: Path = OWN) -> Path | None:
    """Where groups of sandboxes can be made; None where nowhere."""
    tops = [Path(row[1]) for line in mounts.read_text().splitlines() if (row := line.split())[2] == "cgroup2"]
    names = [line[3:] for line in own.read_text().splitlines() if line.startswith("0::/")]
    for top in tops:
        for place in (*((top / name.lstrip("/")).resolve().parent for name in names), top):
            if place.is_relative_to(top) and _is_usable(place):
                return place
    return None


def _is_usable(place: Path) -> bool:
    try:
        counted = set((place / "cgroup.subtree_control").read_text().split())
    except OSError:
        return False
    return (
        counted >= _REQUIRED_CONTROLLERS
        and os.access(place, os.W_OK)
        and os.access(place / "cgroup.procs", os.W_OK)
    )


class ControlGroup:
    """The group of one sandbox."""

    def __init__(self, place: Path, sandbox_id: str) -> None:
        self._directory = place / f"codecourier-{sandbox_id}"

    def make(self, size: Size) -> None:
        self._directory.mkdir(exist_ok=True)
        self._limit("memory.max", str(size.memory_bytes))
        self._limit("memory.swap.max", "0")
        self._limit("pids.max", str(MAX_PROCESSES))
        self._limit("cpu.max", f"{size.cpu_count * _PERIOD_MICROSECONDS} {_PERIOD_MICROSECONDS}")

    def remove(self) -> None:
        """Only once no process is in it."""
        if self._directory.exists():
            self._directory.rmdir()

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command, begun in the group: a child it makes before it is moved would stay outside."""
        enter = f'echo $$ > {shlex.quote(str(self._directory / "cgroup.procs"))} && exec "$@"'
        return ["/bin/sh", "-c", enter, "sh", *command]

    def _limit(self, name: str, value: str) -> None:
        """What is not counted here (processors, swap) has no file, and no limit."""
        file = self._directory / name
        if file.exists():
            file.write_text(value)
