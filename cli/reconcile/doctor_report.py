"""One examination of an installation: what can be reached, what is wrong, and what was done about it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text
from temporalio.client import Client

from activities.gateway_factory import GatewayFactory
from activities.reconcile.abandoned_rows import AbandonedRows
from activities.reconcile.checks import checks
from activities.reconcile.findings import Check, Finding, Inconsistency, is_unusual
from activities.reconcile.isolation import Fault, attempt, run_check
from cli.console import STYLES, out
from cli.reconcile.connectivity import ConnectivityCheck
from kit.database import Database
from kit.settings import Settings
from kit.tenancy import DatabaseRole
from models.reconcile.sweep_summary import format_age

REQUIRED_PARTS = ("database", "schema", "temporal")
PIPE_TABLE_WIDTH = 1_000
"""Columns of a table in a pipe."""
Checks = Mapping[Inconsistency, Check]


class DoctorOptions(NamedTuple):
    """How the operator wants it looked at."""

    grace: timedelta
    repair: bool
    gone_namespaces: tuple[str, ...] = ()
    """Namespaces that do not exist any more."""


async def examine(settings: Settings, way: DoctorOptions) -> bool:
    """Print what is found, and repaired if that is wished; whether all is well at the end."""
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker, pool_size=4)
    try:
        reach = ConnectivityCheck(settings, database)
        with _status("asking what can be reached"):
            reached = await reach.check_all()
        table = _table()
        for each in reached:
            table.add_row(each.part, Text(each.state, style=STYLES[each.state]), Text(each.detail))
        _print_table(table)
        missing = [each.part for each in reached if each.state == "wrong"]
        if reach.client is None or {*missing} & {*REQUIRED_PARTS}:
            out.print(
                Text("\nNothing else was looked at: it needs database, schema and temporal.", style="red")
            )
            return False
        outside = GatewayFactory(settings, database)
        is_clean = await _find_and_repair(database, reach.client, outside, way)
        return is_clean and not missing
    finally:
        await database.close()


async def _find_and_repair(
    database: Database, client: Client, outside: GatewayFactory, way: DoctorOptions
) -> bool:
    def every() -> Checks:
        return checks(database, client, outside, way.grace, by_operator=True, gone=way.gone_namespaces)

    found, unseen = await _run_checks(every(), repair=way.repair)
    if found and way.repair:
        out.print("\nLooking again.")
        left, unseen = await _run_checks(every(), repair=False)
        if not left and not unseen:
            out.print(Text(f"\nEverything is repaired: {found}.", style="green"))
        found = left
    elif not found and not unseen:
        out.print(Text("\nNothing is wrong.", style="green"))
    if found:
        repair = "" if way.repair else "  Repair: codecourier doctor --repair"
        out.print(Text(f"\nWrong: {found}.{repair}", style="red"))
    return not found and not unseen


async def _run_checks(every: Checks, *, repair: bool) -> tuple[int, int]:
    """How much was found, and how many checks could not see all there is."""
    found = unseen = 0
    for kind, check in every.items():
        with _status(f"looking for: {kind}"):
            findings, fault = await run_check(check)
        found += len(findings)
        if findings:
            out.print()
            _print_table(_findings_table(findings))
            _print_warnings(check, findings)
        if isinstance(check, AbandonedRows):
            _print_other_namespaces(check)
        if fault is not None:
            unseen += 1
            out.print(Text(f"\n{kind}: not everything could be looked at: {fault.reason}", style="red"))
        for finding in findings if repair else ():
            await _repair(check, finding)
    return found, unseen


def _print_warnings(check: Check, findings: list[Finding]) -> None:
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


def _print_other_namespaces(check: AbandonedRows) -> None:
    for namespace, count in check.foreign_rows.items():
        words = (
            f"\nNot looked at: {count} at work in the namespace {namespace}.  If it is gone for good: "
            f"codecourier doctor --gone-namespace {namespace}"
        )
        out.print(Text(words, style="yellow"))


async def _repair(check: Check, finding: Finding) -> None:
    with _status(f"repairing {finding.id}"):
        done = await attempt(finding.id, check.repair, finding)
    if isinstance(done, Fault):
        state, words = "left", done.reason
    else:
        state, words = "repaired", done or "it is well by now"
    out.print(Text.assemble((f"{state:<9}", STYLES[state]), f"  {finding.id}  {words}"))


def _findings_table(findings: list[Finding]) -> Table:
    table = _table()
    for each in findings:
        since = f"for {format_age(each.since)}" if each.since else ""
        words = Text.assemble(each.what, (f"  Repairing {each.repair}.", "dim"))
        table.add_row(Text(each.kind, style="red"), each.id, Text(since, style="dim"), words)
    return table


def _table() -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name in ("what", "where"):
        table.add_column(name, no_wrap=True)
    return table


def _print_table(table: Table) -> None:
    """Fitted to a terminal; in a pipe no line is broken, however long."""
    if out.is_terminal:
        out.print(table)
        return
    wide = Console(width=PIPE_TABLE_WIDTH, highlight=False, color_system=None)
    with wide.capture() as captured:
        wide.print(table)
    for line in captured.get().splitlines():
        out.print(line.rstrip(), markup=False)


def _status(doing: str) -> AbstractContextManager[object]:
    return out.status(doing) if out.is_terminal else nullcontext()
