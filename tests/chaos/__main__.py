"""`make chaos`: play the faults of production on the real stack; a checker looks everywhere after each.

Every fault is played on an installation of its own: a database, a Temporal namespace, an API and workers as
processes, before the embedded PostgreSQL, Temporal, forge, sandboxes and scripted model.  One line a fault
says how many jobs were tried, lost and done twice, what else was wrong, and the longest delay of a job beyond
an undisturbed one.  The exit status is 1 if anything was lost, done twice or wrong.

Examples:
  python -m tests.chaos --list                   the faults, with what happens in each
  python -m tests.chaos --short                  each fault once, with short outages (CI plays this)
  python -m tests.chaos --only postgres          the faults whose names begin with "postgres"
  python -m tests.chaos --runs 1000              the whole table, then kills until there were 1,000 runs
  python -m tests.chaos --runs 1000 --minutes 30 --results chaos.json
                                                 half an hour of it; the same command again goes on
  python -m tests.chaos --results chaos.json --write docs/reliability.md
                                                 write the table of those results into the documentation
"""

import argparse
import asyncio
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from cli.signals import cancel_on_signals
from tests.chaos import faults, report
from tests.chaos.fault_table import Results, Scope, Table, chosen
from tests.support.stack import run_servers

BEGIN, END = "<!-- the table: make chaos -->", "<!-- the end of the table -->"
"""Between them `--write` puts the table."""
FOR_EVER = float("inf")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--list", action="store_true", help="name the faults and leave")
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="play only faults whose names begin so; may be given several times",
    )
    parser.add_argument(
        "--short", action="store_true", help="one round each, outages of a quarter of the time"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each fault (3; with --short 1)")
    parser.add_argument("--tries", type=int, default=1_000, help="at most so many jobs in a round")
    parser.add_argument("--runs", type=int, default=0, help="play kills on until there were so many tries")
    parser.add_argument("--minutes", type=float, help="begin no round after so many minutes")
    parser.add_argument("--together", type=int, default=3, help="faults that are played at a time (3)")
    parser.add_argument(
        "--patience", type=float, default=240, help="seconds of silence after which a job is lost (240)"
    )
    parser.add_argument("--seed", type=int, help="play the same chances again")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="keep results there, and go on with them"
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the table into this document")
    return parser.parse_args()


def main() -> int:
    options = arguments()
    if options.list:
        print(*report.fault_list(), sep="\n")
        return 0
    try:
        scope = Scope(
            faults=chosen(options.only),
            rounds=options.rounds or (1 if options.short else 3),
            runs=options.runs,
            deadline=time.monotonic() + (options.minutes * 60 if options.minutes else FOR_EVER),
            scale=0.25 if options.short else 1.0,
            patience=options.patience,
            together=options.together,
            most_tries=options.tries,
        )
    except KeyError as stranger:
        print(f"No fault's name begins with {stranger}; see --list", file=sys.stderr)
        return 2
    results = resumed(options.results) or Results(
        commit=_commit(),
        command=shlex.join(["python", "-m", "tests.chaos", *sys.argv[1:]]),
        seed=options.seed if options.seed is not None else secrets.randbelow(10**6),
        began_at=time.time(),
    )
    with suppress(asyncio.CancelledError):
        asyncio.run(play(scope, results, options.results))
    if options.write:
        write(options.write, report.markdown(results))
    return 0 if results.is_clean else 1


def resumed(file: Path | None) -> Results | None:
    """The results to go on with: those of a file, if they are of this very commit."""
    results = Results.load(file) if file else None
    if results is not None and results.commit != _commit():
        print(f"{file} holds results of commit {results.commit}: the table begins anew.", file=sys.stderr)
        return None
    return results


async def play(scope: Scope, results: Results, file: Path | None) -> None:
    """Play what is left of the scope, and show it; a signal ends that, and leaves no process."""
    cancel_on_signals()
    with tempfile.TemporaryDirectory(prefix="chaos-") as name:
        directory = Path(name)
        async with run_servers(directory / "parts") as parts:
            with report.ProgressReport(Console(highlight=False), results, scope.faults) as shown:
                table = Table(
                    parts,
                    scope,
                    results,
                    directory,
                    shown.watch,
                    save=lambda: results.save(file) if file else None,
                )
                await table.play()


def write(document: Path, table: str) -> None:
    """Put the table where the last one stood."""
    text = document.read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    document.write_text(f"{before}{BEGIN}\n\n{table}\n{END}{after}")


def _commit() -> str:
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip() or "unknown"


if __name__ == "__main__":
    assert faults.__name__  # their import fills the table
    sys.exit(main())
