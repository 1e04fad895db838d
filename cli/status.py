"""`codecourier status`: what runs, and where."""

import typer
from rich.table import Table
from rich.text import Text

from cli.addresses import show
from cli.console import DEFAULT_DATA, STYLES, DataDirectory, fail, out
from local.plan import PARTS
from local.process import StartError
from local.state import StackFile, State

command = typer.Typer()


@command.command()
def status(data: DataDirectory = DEFAULT_DATA) -> None:
    """Show what of the stack runs and where; the exit status is 0 only if all of it does."""
    directory = data.absolute()
    try:
        state, file = State.read(directory), StackFile.read(directory)
    except StartError as error:
        fail(str(error))
    if file is None:
        fail(f"No stack is running in {directory}.  Start it with: codecourier up")
    table = Table(box=None, show_header=False, pad_edge=False)
    dead = []
    for name in PARTS:
        identity = state.parts.get(name)
        if identity is None:
            table.add_row(name, "yours", "")
        elif identity.is_alive:
            table.add_row(name, Text("running", style=STYLES["running"]), f"pid {identity.pid}")
        else:
            dead.append(name)
            table.add_row(
                name, Text("gone", style=STYLES["gone"]), f"see {directory / 'logs' / f'{name}.log'}"
            )
    out.print(table)
    out.print()
    show(file, directory)
    if dead:
        fail(f"\nNot running: {', '.join(dead)}.  Start again with: codecourier up")
