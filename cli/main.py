"""`codecourier`: the command line of everything; one file per command."""

from cli import (
    api,
    claim,
    codec_server,
    demo,
    doctor,
    down,
    hooks,
    keys,
    members,
    migrate,
    projects,
    status,
    up,
    worker,
)
from cli.console import app

for module in (up, demo, status, doctor, claim, down, api, worker, codec_server, migrate):
    app.registered_commands.extend(module.command.registered_commands)
for group in (projects, members, keys, hooks):
    app.add_typer(group.group)


def run() -> None:
    app()


if __name__ == "__main__":
    run()
