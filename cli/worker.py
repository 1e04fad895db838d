"""`codecourier worker`: the process that does the work of the workflows."""

import typer

command = typer.Typer()


@command.command()
def worker() -> None:
    """Work on runs until told to stop; start as many as you like, on any host."""
    from worker.main import main

    main()
