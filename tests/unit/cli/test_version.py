"""`codecourier --version` names what is installed."""

from importlib.metadata import version

from typer.testing import CliRunner

from cli import main
from cli.console import app

assert main.__name__, "imported for its commands"


def test_version_is_shown() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"codecourier {version('codecourier')}\n")


def test_help_begins_with_what_the_program_is_for() -> None:
    assert "AI coding work as durable workflows." in CliRunner().invoke(app, ["--help"]).output
