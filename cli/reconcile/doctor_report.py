"""One examination of an installation: what can be reached, what is wrong, and what was done about it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from activities.gateway_factory import Outside
from activities.reconcile.abandoned_rows import AbandonedRows
from activities.reconcile.breaker import is_unusual
from activities.reconcile.checks import checks
from activities.reconcile.findings import Check, Finding, Inconsistency
from activities.reconcile.isolation import Fault, attempt, look
from cli.console import STYLES, out
from cli.reconcile.connectivity import Reach
from kit.database import Database
from kit.settings import Settings
from kit.tenancy import DatabaseRole
from models.reconcile.sweep_summary import ago

NEEDED = ("database", "schema", "temporal")
WIDE = 1_000
"""Columns of a table in a pipe."""
Checks = Mapping[Inconsistency, Check]


class Way(NamedTuple):
    """How the operator wants it looked at."""

    grace: timedelta
    repair: bool
    gone: tuple[str, ...] = ()
    """Namespaces that do not exist any more."""


async def examine(settings: Settings, way: Way) -> bool:
    """Print what is found, and repaired if that is wished; whether all is well at the end."""
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker, pool_size=4)
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
        is_clean = await _treat(database, reach.client, outside, way)
        return is_clean and not missing
    finally:
        await database.close()


async def _treat(database: Database, client: Client, outside: Outside, way: Way) -> bool:
    def every() -> Checks:
        return checks(database, client, outside, way.grace, by_operator=True, gone=way.gone)

    found, unseen = await _look(every(), repair=way.repair)
    if found and way.repair:
        out.print("\nLooking again.")
        left, unseen = await _look(every(), repair=False)
        if not left and not unseen:
            out.print(Text(f"\nEverything is repaired: {found}.", style="green"))
        found = left
    elif not found and not unseen:
        out.print(Text("\nNothing is wrong.", style="green"))
    if found:
        repair = "" if way.repair else "  Repair: codecourier doctor --repair"
        out.print(Text(f"\nWrong: {found}.{repair}", style="red"))
    return not found and not unseen


async def _look(every: Checks, *, repair: bool) -> tuple[int, int]:
    """How much was found, and how many checks could not see all there is."""
    found = unseen = 0
    for kind, check in every.items():
        with _busy(f"looking for: {kind}"):
            findings, fault = await look(check)
        found += len(findings)
        if findings:
            out.print()
            _show(_listed(findings))
            _warn(check, findings)
        if isinstance(check, AbandonedRows):
            _tell_elsewhere(check)
        if fault is not None:
            unseen += 1
            out.print(Text(f"\n{kind}: not everything could be looked at: {fault.reason}", style="red"))
        for finding in findings if repair else ():
            await _repair(check, finding)
    return found, unseen


def _warn(check: Check, findings: list[Finding]) -> None:
    """Of what the sweep has not repaired, so that somebody looks at it first."""
    doubtful = sum(finding.is_doubtful for finding in findings)
    if is_unusual(doubtful, check.examined):
        words = (
            f"{doubtful} of {check.examined} is unusual, so no sweep repairs it: make sure that database, "
            "namespace and accounts are the right ones."
        )
        out.print(Text(words, style="yellow"))
    if unexplained := sum(finding.needs_doctor for finding in findings):
        words = f"{unexplained} of them no row knows of; only codecourier doctor --repair ends them."
        out.print(Text(words, style="yellow"))


def _tell_elsewhere(check: AbandonedRows) -> None:
    for namespace, count in check.elsewhere.items():
        words = (
            f"\nNot looked at: {count} at work in the namespace {namespace}.  If it is gone for good: "
            f"codecourier doctor --gone-namespace {namespace}"
        )
        out.print(Text(words, style="yellow"))


async def _repair(check: Check, finding: Finding) -> None:
    with _busy(f"repairing {finding.id}"):
        done = await attempt(finding.id, check.repair, finding)
    if isinstance(done, Fault):
        state, words = "left", done.reason
    else:
        state, words = "repaired", done or "it is well by now"
    out.print(Text.assemble((f"{state:<9}", STYLES[state]), f"  {finding.id}  {words}"))


def _listed(findings: list[Finding]) -> Table:
    table = _table()
    for each in findings:
        since = f"for {ago(each.since)}" if each.since else ""
        words = Text.assemble(each.what, (f"  Repairing {each.repair}.", "dim"))
        table.add_row(Text(each.kind, style="red"), each.id, Text(since, style="dim"), words)
    return table


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
