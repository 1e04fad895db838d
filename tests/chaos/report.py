"""How the table looks: in colours on a terminal, as lines in a pipe, as Markdown in the documentation."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.live import Live
from rich.table import Table as Grid
from rich.text import Text

from tests.chaos.fault import FAULTS, Fault
from tests.chaos.fault_table import Results, Row

COLUMNS = ("fault", "tries", "lost", "done twice", "wrong", "longest delay")


class ProgressReport:
    """Progress while the table is played, and the table at the end."""

    def __init__(self, console: Console, results: Results, faults: Sequence[Fault]) -> None:
        self._console, self._results, self._faults = console, results, faults
        self._at: dict[str, str] = {}
        self._began = time.monotonic()
        self._live: Live | None = None

    def __enter__(self) -> "ProgressReport":
        if self._console.is_terminal:
            self._live = Live(console=self._console, get_renderable=self._grid, refresh_per_second=4)
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        else:
            self._console.print(self._grid())
        self._console.print(self._summary(), soft_wrap=True)
        for leak in self._results.leaks:
            self._console.print(Text(f"secrets: {leak}", style="red"), soft_wrap=True)
        for row in self._rows():
            for words in row.words:
                self._console.print(Text(f"{row.fault}: {words}", style="red"), soft_wrap=True)

    def watch(self, fault: str, words: str) -> None:
        self._at[fault] = words
        if self._live is None and words in ("played", "found something"):
            line = f"{time.monotonic() - self._began:7.1f} s  {_line(self._results, fault)}"
            self._console.print(line, soft_wrap=True)
            self._console.file.flush()

    def _rows(self) -> list[Row]:
        rows = (self._results.rows.get(fault.name) for fault in self._faults)
        return [row for row in rows if row is not None and row.rounds]

    def _grid(self) -> Grid:
        grid = Grid(box=None, pad_edge=False, header_style="bold")
        for column in COLUMNS:
            grid.add_column(column, justify="left" if column == "fault" else "right", no_wrap=True)
        grid.add_column("")
        for fault in self._faults:
            row = self._results.rows.get(fault.name) or Row(fault=fault.name)
            at = self._at.get(fault.name, "")
            style = "dim" if not row.rounds else "green" if row.is_clean else "red"
            delay = f"{self._results.delay(row):.1f} s" if row.rounds else ""
            grid.add_row(
                Text(fault.name, style=style),
                f"{row.tries}",
                _count(row.lost),
                _count(row.twice),
                _count(row.wrong),
                delay,
                Text(at if self._live is not None else "", style="dim"),
            )
        return grid

    def _summary(self) -> Text:
        rows = self._rows()
        harmed = sum(row.lost + row.twice + row.wrong for row in rows)
        minutes = (time.monotonic() - self._began) / 60
        words = f"\n{self._results.tries} tries of {len(rows)} faults in {minutes:.1f} min, seed"
        words += f" {self._results.seed}: "
        lost, twice = sum(row.lost for row in rows), sum(row.twice for row in rows)
        words += f"{lost} lost, {twice} done twice, {harmed - lost - twice} otherwise wrong."
        return Text(words, style="bold red" if harmed else "bold green")


def _count(number: int) -> Text:
    return Text(str(number), style="bold red" if number else "")


def _line(results: Results, fault: str) -> str:
    row = results.rows[fault]
    counts = f"{row.tries} tries, {row.lost} lost, {row.twice} twice, {row.wrong} wrong"
    return f"{fault:<28} {counts}, longest delay {results.delay(row):.1f} s"


def fault_list() -> Iterator[str]:
    """Every fault, for `--list`."""
    width = max(len(name) for name in FAULTS)
    for fault in FAULTS.values():
        yield f"{fault.name:<{width}}  {fault.sentence}"


def markdown(results: Results) -> str:
    """The table for the documentation, with when, of what and by which command it was made."""
    day = datetime.fromtimestamp(results.began_at, UTC).strftime("%Y-%m-%d")
    rows = [results.rows[name] for name in FAULTS if name in results.rows and results.rows[name].rounds]
    made = f"{day}, commit `{results.commit}`, `{results.command}` (seed {results.seed})"
    lines = [
        f"{made}: {results.tries} tries; an undisturbed run took {results.baseline:.1f} s.",
        "",
        "| fault | what happens | tries | lost | done twice | wrong | longest delay |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for row in rows:
        sentence = FAULTS[row.fault].sentence
        delay = f"{results.delay(row):.1f} s"
        counts = f"{row.tries} | {row.lost} | {row.twice} | {row.wrong}"
        lines.append(f"| {row.fault} | {sentence} | {counts} | {delay} |")
    return "\n".join(lines) + "\n"
