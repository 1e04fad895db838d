"""The stack that a demo plays on."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.console import Progress, out
from cli.stack.addresses import supervised_stack
from cli.stack.down import stop
from cli.stack.prepare import prepare
from local.stack.state import StackFile, lock_stack
from local.stack.supervisor import Stack, make_plan


@asynccontextmanager
async def running_stack(directory: Path, *, keep: bool) -> AsyncIterator[StackFile]:
    """The stack of a directory: the running one, or one started for the demo and stopped after it."""
    is_started_here, file = await _started(directory)
    try:
        yield file
    finally:
        if is_started_here and not keep:
            with Progress() as progress:
                await stop(directory, progress.report)
            out.print("The stack is stopped; with --keep it stays, to look around in it.")
        else:
            out.print(
                f"\nThe stack runs on.  Stop it with: codecourier down --data {directory}", markup=False
            )


async def _started(directory: Path) -> tuple[bool, StackFile]:
    """Whether the stack had to be started, and where it is."""
    with lock_stack(directory) as is_mine:
        if not is_mine:
            return False, supervised_stack(directory)
        progress = Progress()
        stack = Stack(make_plan(directory, {}, os.environ), prepare, progress.report)
        was_running = stack.is_running
        with progress:
            file = await stack.start()
        assert file is not None
        return not was_running, file
