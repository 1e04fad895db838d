"""`codecourier down`: stop everything, keep the data."""

import asyncio
import os
import signal
import time
from pathlib import Path

import typer

from cli.console import DEFAULT_DATA, DataDirectory, Progress, fail, out
from local.process import StartError
from local.stack import Stack, make_plan
from local.state import State, locked

PATIENCE = 90.0
"""Seconds for a foreground `up` to stop what it started."""

command = typer.Typer()


@command.command()
def down(data: DataDirectory = DEFAULT_DATA) -> None:
    """Stop the stack and leave nothing running; the next **up** goes on with its data."""
    directory = data.absolute()
    if not (directory / "state.json").exists():
        out.print(f"There is no stack in {directory}.")
        return
    deadline = time.monotonic() + PATIENCE
    while True:
        with locked(directory) as is_mine:
            if is_mine:
                try:
                    asyncio.run(_down(directory))
                except StartError as error:
                    fail(str(error))
                return
        _ask_supervisor(directory)
        if time.monotonic() > deadline:
            fail(f"The command that watches over {directory} does not stop; see {directory / 'state.json'}.")
        time.sleep(0.2)


async def _down(directory: Path) -> None:
    with Progress() as progress:
        plan = make_plan(directory, {}, os.environ)
        await Stack(plan, None, progress.report).stop()
    out.print("Nothing is running.")


def _ask_supervisor(directory: Path) -> None:
    """An `up` in the foreground stops everything itself when it is asked to end."""
    supervisor = State.read(directory).supervisor
    if supervisor is not None:
        supervisor.send(signal.SIGTERM)
