"""One examination of an installation: what can be reached, what is wrong, and what was done about it."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.checks import checks
from activities.damage import Check, Damage, Finding
from activities.outside import Outside
from cli.console import STYLES, out
from cli.reach import Reach
from gateways.errors import GatewayError
from kit.database import Database
from kit.settings import Settings
from models.base import now

NEEDED = ("database", "schema", "temporal")
WIDE = 1_000
"""Columns of a table in a pipe."""
Checks = Mapping[Damage, Check]


async def examine(settings: Settings, grace: timedelta, *, repair: bool) -> bool:
    """Print what is found, and repaired if that is wished; whether all is well at the end."""
    database = Database(settings.sqlalchemy_url, pool_size=4)
    try:
        reach = Reach(settings, database)
        with _busy("asking what can be reached"):
            reached = await reach.all()
        table = _table()
        for each in reached:
            table.add_row(each.part, Text(each.state, style=STYLES[each.state]), Text(each.words))
        _show(table)
        missing = [each.part for each in reached if each.state == "wrong"]
        if reach.client is None or {*missing} & {*NEEDED}:
            out.print(
                Text("\nNothing else was looked at: it needs database, schema and temporal.", style="red")
            )
            return False
        outside = Outside(settings, database)
        is_clean = await _treat(database, reach.client, outside, grace, repair=repair)
        return is_clean and not missing
    finally:
        await database.close()


async def _treat(
    database: Database, client: Client, outside: Outside, grace: timedelta, *, repair: bool
) -> bool:
    every = checks(database, client, outside, grace, terminate=True)
    found, unseen = await _look(every, repair=repair)
    if found and repair:
        out.print("\nLooking again.")
        left, unseen = await _look(checks(database, client, outside, grace, terminate=True), repair=False)
        if not left and not unseen:
            out.print(Text(f"\nEverything is repaired: {found}.", style="green"))
        found = left
    elif not found and not unseen:
        out.print(Text("\nNothing is wrong.", style="green"))
    if found:
        out.print(
            Text(
                f"\nWrong: {found}." + ("" if repair else "  Repair: codecourier doctor --repair"),
                style="red",
            )
        )
    return not found and not unseen


async def _look(every: Checks, *, repair: bool) -> tuple[int, int]:
    """How much was found, and how many checks could not see all there is."""
    found = unseen = 0
    for damage, check in every.items():
        with _busy(f"looking for damage: {damage}"):
            findings, fault = await _findings(check.find())
        found += len(findings)
        if findings:
            out.print()
            _show(_listed(findings))
        if fault is not None:
            unseen += 1
            out.print(Text(f"\n{damage}: not everything could be looked at: {fault}", style="red"))
        for finding in findings if repair else ():
            await _repair(check, finding)
    return found, unseen


async def _findings(finding: AsyncIterator[Finding]) -> tuple[list[Finding], str | None]:
    found: list[Finding] = []
    try:
        async for each in finding:
            found.append(each)  # noqa: PERF401  what came before a fault is kept
    except (GatewayError, ApplicationError, RPCError) as error:
        return found, error.message
    return found, None


async def _repair(check: Check, finding: Finding) -> None:
    with _busy(f"repairing {finding.id}"):
        try:
            state, words = "repaired", await check.repair(finding) or "it is well by now"
        except (GatewayError, ApplicationError, RPCError) as error:
            state, words = "left", error.message
    out.print(Text.assemble((f"{state:<9}", STYLES[state]), f"  {finding.id}  {words}"))


def _listed(findings: list[Finding]) -> Table:
    table = _table()
    for each in findings:
        since = _ago(now() - each.since) if each.since else ""
        words = Text.assemble(each.what, (f"  Repairing {each.cure}.", "dim"))
        table.add_row(Text(each.damage, style="red"), each.id, Text(since, style="dim"), words)
    return table


def _ago(time: timedelta) -> str:
    """`for 3 h`: two digits are all that matter."""
    seconds = max(0, round(time.total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"for {seconds // size} {unit}"
    return f"for {seconds} s"


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("what", "where"):
        table.add_column(name, no_wrap=True)
    return table


def _show(table: Table) -> None:
    """Fitted to a terminal; in a pipe no line is broken, however long."""
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(width=WIDE, highlight=False, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        out.print(line.rstrip(), markup=False)


def _busy(doing: str) -> AbstractContextManager[object]:
    return out.status(doing) if out.is_terminal else nullcontext()
