"""`codecourier`: the command line of everything; one file per command."""

from cli.console import app
from cli.demo import command as demo
from cli.deployment import api, codec_server, migrate, worker
from cli.github import hooks
from cli.projects import api_keys, members, projects
from cli.reconcile import claim, doctor
from cli.stack import down, status, up

for module in (up, demo, status, doctor, claim, down, api, worker, codec_server, migrate):
    app.registered_commands.extend(module.command.registered_commands)
for group in (projects, members, api_keys, hooks):
    app.add_typer(group.group)


def run() -> None:
    app()


if __name__ == "__main__":
    run()
