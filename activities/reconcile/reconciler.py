"""The reconciler: what does not agree is found and repaired, where that is safe without an operator."""

from enum import StrEnum
from typing import Final

from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client

from activities.gateway_factory import GatewayFactory
from activities.reconcile.abandoned_rows import AbandonedRows
from activities.reconcile.admission import require_admission
from activities.reconcile.checks import checks
from activities.reconcile.findings import Check, Finding, Inconsistency, is_unusual
from activities.reconcile.isolation import attempt_each, run_check
from activities.reconcile.reports import Report, SweepOrder, SweepResult, Tally
from kit.database import Database
from kit.logs import logger
from models.reconcile.sweep import Sweep

FOREIGN_ROW: Final = "row of another namespace"

log = logger(__name__)


class Group(StrEnum):
    """What is looked at together: within a group one check after the other, on the same listings."""

    workflows = "workflows"
    sandboxes = "sandboxes"
    pull_requests = "pull requests"
    leftovers = "leftovers"


CHECKS_BY_GROUP: Final = {
    Group.workflows: (
        Inconsistency.abandoned_row,
        Inconsistency.orphaned_workflow,
        Inconsistency.schedule,
    ),
    Group.sandboxes: (Inconsistency.orphaned_sandbox, Inconsistency.missing_sandbox),
    Group.pull_requests: (Inconsistency.unsettled_pull_request, Inconsistency.leftover_checkpoint),
    Group.leftovers: (Inconsistency.abandoned_reservation, Inconsistency.expired_file),
}
"""What is not in it is started, not repaired: unstarted rows."""


class GroupOrder(SweepOrder):
    group: Group


class Reconciler:
    def __init__(self, database: Database, client: Client, outside: GatewayFactory) -> None:
        self.database, self.client, self.outside = database, client, outside

    @activity.defn
    async def reconcile(self, order: GroupOrder) -> Report:
        """Find and repair what does not agree; each check and each finding by itself.

        Every repair is looked up before it is made, so a second execution, even beside the first, goes on
        with what is left.  What an outside system does not let us see or do is left to the next sweep.
        """
        await require_admission(self.database, self.client, order.installation)
        every, report = checks(self.database, self.client, self.outside), Report()
        for kind in CHECKS_BY_GROUP[order.group]:
            report += await self._reconcile(every[kind])
        return report

    @activity.defn
    async def record_sweep(self, end: SweepResult) -> None:
        """Write down what a sweep came to; of two that record at once, the later one stays."""
        await require_admission(self.database, self.client, end.installation)
        async with self.database.transaction() as session:
            statement = select(Sweep).where(col(Sweep.name) == end.name).with_for_update()
            sweep = (await session.execute(statement)).scalar_one_or_none() or Sweep(name=end.name)
            sweep.record(end.found, end.report.problem)
            session.add(sweep)

    async def _reconcile(self, check: Check) -> Report:
        findings, fault = await run_check(check)
        problem = None if fault is None or fault.is_outside else f"{check.kind}: {fault.reason}"
        doubtful = sum(finding.is_doubtful for finding in findings)
        if is_unusual(doubtful, check.examined):
            log.error("reconcile.breaker_open", kind=check.kind, found=doubtful, examined=check.examined)
            problem = (
                f"{check.kind}: {doubtful} of {check.examined} is unusual, so none was repaired: look at "
                "them, then run codecourier doctor --repair"
            )
            return Report.of(check.kind, Tally(found=len(findings), left=len(findings)), problem)
        report = Report.of(check.kind, await self._repair(check, findings), problem)
        if isinstance(check, AbandonedRows) and (elsewhere := check.foreign_rows.total()):
            log.warning("reconcile.elsewhere", namespaces=dict(check.foreign_rows))
            report += Report.of(FOREIGN_ROW, Tally(found=elsewhere, left=elsewhere))
        return report

    async def _repair(self, check: Check, findings: list[Finding]) -> Tally:
        tally = Tally()
        if left := [finding.id for finding in findings if finding.needs_doctor]:
            log.warning("reconcile.left_to_doctor", kind=check.kind, count=len(left), first=left[0])
            tally.found, tally.left = len(left), len(left)

        async def repair(finding: Finding) -> str | None:
            done = await check.repair(finding)
            if done is not None:
                log.warning("reconcile.repaired", id=finding.id, what=finding.what, done=done)
            return done

        repairable = {finding.id: finding for finding in findings if not finding.needs_doctor}
        outcomes = await attempt_each(repair, repairable)
        tally.add(outcome for outcome in outcomes if outcome is not None)  # None: it turned out well
        return tally
