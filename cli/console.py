"""What all commands share: where the stack is kept and how progress is shown, to people and to pipes."""

import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

DataDirectory = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="CODECOURIER_DATA",
        help="Directory that holds all of the stack: data, secrets, logs and stack.json.",
        file_okay=False,
    ),
]
DEFAULT_DATA = Path(".codecourier")

STYLES = {
    "ready": "green",
    "stopped": "dim",
    "died": "red",
    "failed": "red",
    "running": "green",
    "gone": "red",
    "ok": "green",
    "wrong": "red",
    "not set": "dim",
    "repaired": "green",
    "left": "yellow",
}


def fail(message: str) -> NoReturn:
    """Say what went wrong, in words, and leave with status 1."""
    err.print(Text(message, style="red"))
    raise typer.Exit(1)


class Progress:
    """Per-part progress: a table that changes in place on a terminal, a line for every change in a pipe."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[str, str]] = {}
        self._began: dict[str, float] = {}
        self._took: dict[str, float] = {}
        self._live: Live | None = None

    def __enter__(self) -> "Progress":
        if out.is_terminal:
            self._live = Live(self._table(), console=out, refresh_per_second=8, get_renderable=self._table)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def report(self, part: str, state: str, detail: str) -> None:
        """Note a change; `detail` is a few words about it."""
        now = time.monotonic()
        began = self._began.setdefault(part, now)
        if state in ("starting", "stopping"):
            self._began[part] = began = now
        self._took[part] = now - began
        self._rows[part] = (state, detail)
        if self._live is None:
            seconds = f"{self._took[part]:6.2f} s" if state in ("ready", "stopped") else " " * 8
            out.print(f"{part:<10} {state:<9}{seconds}  {detail}".rstrip())

    def _table(self) -> Table:
        table = Table(box=None, show_header=False, pad_edge=False)
        for part, (state, detail) in self._rows.items():
            moving = state in ("starting", "stopping")
            seconds = time.monotonic() - self._began[part] if moving else self._took[part]
            style = STYLES.get(state, "yellow")
            table.add_row(part, Text(state, style=style), f"{seconds:.1f} s", Text(detail, style="dim"))
        return table


app = typer.Typer(
    name="codecourier",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "AI coding work as durable workflows.\n\n"
        "**codecourier demo** shows one whole run, from prompt to pull request."
        " **codecourier up** starts everything on this machine, without any account or server;"
        " **down** stops it, and the next **up** goes on with the same data."
    ),
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"codecourier {version('codecourier')}")
        raise typer.Exit


@app.callback()
def program(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass
