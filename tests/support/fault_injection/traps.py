"""What a test lays for a process that is to be killed: a file, found once by the process that comes to it."""

import os
from contextlib import suppress
from pathlib import Path


def trap_path(name: str) -> Path:
    """A trap of the directory that `TRAPS` names."""
    return Path(os.environ["TRAPS"]) / name


def spring_trap(trap: Path, what: str) -> bool:
    """Whether `TRAP.WHAT` lay there; it is `TRAP.sprung` now, so that it springs once."""
    with suppress(FileNotFoundError):
        trap.with_name(f"{trap.name}.{what}").rename(trap.with_name(f"{trap.name}.sprung"))
        return True
    return False
