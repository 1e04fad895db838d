"""`codecourier status`: what runs, and where."""

import time
from datetime import datetime
from pathlib import Path

import typer
from rich.text import Text

from cli.console import DEFAULT_DATA, STYLES, DataDirectory, fail, out
from cli.reconcile.sweeps import print_sweeps
from cli.stack.addresses import print_addresses
from local.stack.plan import PARTS
from local.stack.process import StartError
from local.stack.state import Restarts, StackFile, State

command = typer.Typer()


@command.command()
def status(data: DataDirectory = DEFAULT_DATA) -> None:
    """Show what of the stack runs and where; the exit status is 0 only if all of it does.

    Of a part that died under the watch of **up**: how often it was started again, how it ended the last time,
    and its last words if it dies again and again.
    """
    directory = data.absolute()
    try:
        state, file = State.read(directory), StackFile.read(directory)
    except StartError as error:
        fail(str(error))
    if file is None:
        fail(f"No stack is running in {directory}.  Start it with: codecourier up")
    for name in PARTS:
        word, detail = describe_part(state, name, directory)
        out.print(Text.assemble(f"{name:<10} ", (f"{word:<8} ", STYLES.get(word, "")), detail))
    for name, restarts in state.restarts.items():
        if restarts.is_hopeless:
            out.print(f"\n{name} keeps dying; it wrote last:", style="red")
            out.print(Text(restarts.log_tail, style="dim"))
    out.print()
    print_sweeps(directory)
    out.print()
    print_addresses(file, directory)
    dead = [name for name in PARTS if name in state.parts and not state.parts[name].is_alive]
    if dead and state.is_watched:
        fail(f"\nNot running: {', '.join(dead)}.  The command that watches over the stack starts it again.")
    if dead:
        fail(f"\nNot running: {', '.join(dead)}.  Start again with: codecourier up")
    if not state.is_watched:
        out.print("\nNobody watches over it: what dies stays dead until the next codecourier up.")


def describe_part(state: State, name: str, directory: Path) -> tuple[str, str]:
    """A part's state in a word, and what there is to say about it."""
    process, restarts = state.parts.get(name), state.restarts.get(name)
    if process is None:
        return "yours", ""
    past = f", {_describe_restarts(restarts)}" if restarts else ""
    if process.is_alive:
        return "running", f"pid {process.pid} since {_clock(process.started)}{past}"
    return "gone", f"see {directory / 'logs' / f'{name}.log'}{past}"


def _describe_restarts(restarts: Restarts) -> str:
    times = "once" if restarts.count == 1 else f"{restarts.count} times"
    return f"died {times}, last at {_clock(restarts.died_at)}: {restarts.last_exit}"


def _clock(moment: float) -> str:
    """A time of today by the clock, an older one with its day."""
    there = datetime.fromtimestamp(moment).astimezone()
    is_today = time.time() - moment < 86_400
    return there.strftime("%H:%M:%S" if is_today else "%Y-%m-%d %H:%M")
