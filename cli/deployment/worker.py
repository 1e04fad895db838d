"""`codecourier worker`: the process that does the work of the workflows."""

import os
import sys

import typer

from kit.imports import gc_paused_imports

command = typer.Typer()


@command.command()
def worker() -> None:
    """Work on runs until told to stop; start as many as you like, on any host.

    Settings come from the environment: DATABASE_URL, ENCRYPTION_KEYS, TEMPORAL_ADDRESS, ….
    """
    with gc_paused_imports():
        from worker.main import main  # not needed, and slow to import, for every other command

    main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # an interpreter that used a Temporal client can crash while it takes itself down
