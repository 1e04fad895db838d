"""`codecourier down`: stop everything, keep the data."""

import asyncio
import os
import signal
import time
from pathlib import Path

import typer

from cli.console import DEFAULT_DATA, DataDirectory, Progress, fail, out
from local.stack.process import StartError
from local.stack.state import State, lock_stack
from local.stack.supervisor import ProgressCallback, Stack, make_plan

STOP_TIMEOUT_SECONDS = 90.0
"""Seconds for a foreground `up` to stop what it started."""

command = typer.Typer()


@command.command()
def down(data: DataDirectory = DEFAULT_DATA) -> None:
    """Stop the stack and leave nothing running; the next **up** goes on with its data."""
    directory = data.absolute()
    if not (directory / "state.json").exists():
        out.print(f"There is no stack in {directory}.")
        return
    try:
        with Progress() as progress:
            asyncio.run(stop(directory, progress.report))
    except StartError as error:
        fail(str(error))
    out.print("Nothing is running.")


async def stop(directory: Path, report: ProgressCallback) -> None:
    """Stop the stack, or have the command that watches over it do so.  Raises `StartError` if it does not."""
    deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        with lock_stack(directory) as is_mine:
            if is_mine:
                await Stack(make_plan(directory, {}, os.environ), None, report).stop()
                return
        supervisor = State.read(directory).supervisor
        if supervisor is not None:
            supervisor.send(signal.SIGTERM)
        await asyncio.sleep(0.2)
    raise StartError(
        f"The command that watches over {directory} does not stop; see {directory / 'state.json'}."
    )
