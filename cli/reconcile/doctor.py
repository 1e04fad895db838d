"""`codecourier doctor`: what does not fit together, and its repair."""

import asyncio
import os
import sys
from datetime import timedelta
from typing import Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, fail
from local.stack.process import StartError

command = typer.Typer()


@command.command()
def doctor(
    data: DataDirectory = DEFAULT_DATA,
    repair: Annotated[bool, typer.Option("--repair", help="Repair what is found, then look again.")] = False,
    grace: Annotated[
        int, typer.Option(min=0, help="Leave alone what changed within so many seconds.", metavar="SECONDS")
    ] = 60,
    gone_namespace: Annotated[
        list[str] | None,
        typer.Option(
            help="A Temporal namespace that does not exist any more: what was at work in it is closed.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """Look for what does not agree: rows, workflows, sandboxes, schedules and pull requests.

    Looks at the stack that runs in the data directory, or else at what the environment names (DATABASE_URL,
    TEMPORAL_ADDRESS, …).  Nothing is changed without **--repair**, which also repairs what is too much or
    too strange for the sweeps to repair by themselves.  Exits with 0 if all is well, or is now.
    """
    # Imported here: they are slow to import, and no other command needs them.
    from cli.reconcile.doctor_report import DoctorOptions, examine
    from cli.target import settings_of
    from kit import logs

    try:
        settings = settings_of(data.absolute())
    except StartError as error:
        fail(str(error))
    logs.configure("error", "console", settings.secret_values())
    way = DoctorOptions(timedelta(seconds=grace), repair, tuple(gone_namespace or ()))
    is_well = asyncio.run(examine(settings, way))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0 if is_well else 1)  # an interpreter that used a Temporal client can crash at its exit
