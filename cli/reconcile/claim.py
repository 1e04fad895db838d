"""`codecourier claim`: have a database and a Temporal namespace belong together."""

import asyncio
import os
import sys
from typing import Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, fail, out
from local.stack.process import StartError

command = typer.Typer()


@command.command()
def claim(
    data: DataDirectory = DEFAULT_DATA,
    copy: Annotated[
        bool,
        typer.Option(help="The database is a copy of another installation's: give it an id of its own."),
    ] = False,
    take_over: Annotated[
        bool, typer.Option(help="Take the namespace from an installation that does not exist any more.")
    ] = False,
) -> None:
    """Have the database and the configured Temporal namespace belong together from now on.

    Workers that find them apart refuse to sweep and say why.  Needed after moving to another namespace, after
    restoring a database beside the original (**--copy**), and where a namespace outlived its database
    (**--take-over**).  Stop API and workers before, and start them again.
    """
    # Imported here: they are slow to import, and no other command needs them.
    from activities.reconcile.admission import NamespaceTaken, claim_namespace
    from cli.target import settings_of

    try:
        settings = settings_of(data.absolute())
        claimed = asyncio.run(claim_namespace(settings, copy=copy, take_over=take_over))
    except (StartError, NamespaceTaken, RuntimeError) as error:
        fail(str(error))
    out.print(f"Installation {claimed} works in the namespace {settings.temporal_namespace}.")
    sys.stdout.flush()
    os._exit(0)  # an interpreter that used a Temporal client can crash at its exit
