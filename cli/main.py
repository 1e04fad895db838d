"""`codecourier`: the command line of everything; one file per command."""

from cli import api, demo, doctor, down, migrate, status, up, worker
from cli.console import app

for module in (up, demo, status, doctor, down, api, worker, migrate):
    app.registered_commands.extend(module.command.registered_commands)


def run() -> None:
    app()


if __name__ == "__main__":
    run()
