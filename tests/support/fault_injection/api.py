"""The API with traps: it kills itself at the seams for which a test has laid a file.

`commit`: the handler has done its work and nothing of it is committed.  `start`: the run is committed and the
engine was not told.  `started`: the engine has the run and the API has not recorded that.
"""

import functools
import os
import signal
from collections.abc import Awaitable, Callable

import api.after_commit
from api.state import UnitOfWork
from tests.support.fault_injection.traps import spring_trap, trap_path


def pass_seam(name: str) -> None:
    if "TRAPS" in os.environ and spring_trap(trap_path(name), "kill"):
        os.kill(os.getpid(), signal.SIGKILL)


def add_seams(owner: object, name: str, before: str, after: str) -> None:
    """Put a seam before and after what `owner` calls by this name."""
    original: Callable[..., Awaitable[None]] = getattr(owner, name)

    @functools.wraps(original)
    async def wrapped(*arguments: object) -> None:
        pass_seam(before)
        await original(*arguments)
        pass_seam(after)

    setattr(owner, name, wrapped)


def patch_api() -> None:
    add_seams(UnitOfWork, "commit", "commit", "committed")
    add_seams(api.after_commit, "start_row", "start", "started")
