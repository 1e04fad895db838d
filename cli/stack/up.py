"""`codecourier up`: the whole product on this machine."""

import asyncio
import os
from pathlib import Path
from typing import Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, Progress, fail, out
from cli.signals import cancel_on_signals
from cli.stack.addresses import print_addresses, supervised_stack
from cli.stack.prepare import prepare
from local.stack.process import StartError
from local.stack.state import lock_stack
from local.stack.supervisor import Stack, make_plan

command = typer.Typer()


def port_option(what: str, name: str) -> object:
    return typer.Option(
        min=1, max=65535, envvar=f"CODECOURIER_{name}_PORT", help=f"Port of {what}.", show_default="free"
    )


@command.command()
def up(
    data: DataDirectory = DEFAULT_DATA,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return once all is ready; it runs on.")
    ] = False,
    api_port: Annotated[int | None, port_option("the API", "API")] = None,
    postgres_port: Annotated[int | None, port_option("PostgreSQL", "POSTGRES")] = None,
    temporal_port: Annotated[int | None, port_option("Temporal", "TEMPORAL")] = None,
    temporal_ui_port: Annotated[int | None, port_option("Temporal's Web UI", "TEMPORAL_UI")] = None,
    forge_port: Annotated[int | None, port_option("the forge", "FORGE")] = None,
    sandbox_port: Annotated[int | None, port_option("the sandbox server", "SANDBOX")] = None,
    model_port: Annotated[int | None, port_option("the scripted model", "MODEL")] = None,
    scenarios: Annotated[
        list[Path] | None,
        typer.Option(help="More scenario files for the scripted model.", file_okay=False, exists=True),
    ] = None,
) -> None:
    """Start everything here: PostgreSQL, Temporal, sandboxes, a forge, a model, the API and a worker.

    No account and no server is needed.  Set DATABASE_URL, TEMPORAL_ADDRESS, E2B_API_KEY, ANTHROPIC_API_KEY or
    GITHUB_TOKEN to use your own instead of the embedded part.  All state is in the data directory: the next
    **up** goes on with it, whatever was killed.  A part that dies is started again as long as this command
    runs; **codecourier status** tells of it.  Stop with Ctrl-C, or **codecourier down**.
    """
    ports = {
        "api": api_port,
        "postgres": postgres_port,
        "temporal": temporal_port,
        "temporal_ui": temporal_ui_port,
        "forge": forge_port,
        "sandboxes": sandbox_port,
        "model": model_port,
    }
    given = {name: port for name, port in ports.items() if port is not None}
    directory = data.absolute()
    with lock_stack(directory) as is_mine:
        try:
            if not is_mine:
                file = supervised_stack(directory)
                out.print("The stack is already running, in the foreground of another command.\n")
                print_addresses(file, directory)
                return
            asyncio.run(_up(directory, given, tuple(scenarios or ()), detach=detach))
        except StartError as error:
            fail(str(error))


async def _up(directory: Path, given: dict[str, int], scenarios: tuple[Path, ...], *, detach: bool) -> None:
    cancel_on_signals()
    progress = Progress()
    stack = Stack(make_plan(directory, given, os.environ, scenarios), prepare, progress.report)
    was_running = stack.is_running
    try:
        with progress:
            file = await stack.start()
    except asyncio.CancelledError:
        fail("Interrupted; everything that was started is stopped again.")
    if was_running:
        out.print("The stack was already running.")
    assert file is not None
    out.print()
    print_addresses(file, directory)
    if detach:
        out.print(f"\nIt runs on.  Stop it with: codecourier down --data {directory}")
        return
    out.print("\nCtrl-C stops everything.")
    try:
        await stack.watch()
    except asyncio.CancelledError:
        pass
    finally:
        with progress:
            await stack.stop()
