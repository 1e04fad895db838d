"""Every check there is, in the order in which they are made: what one closes, a later one tidies up after."""

from collections.abc import Collection
from datetime import timedelta

from temporalio.client import Client

from activities.gateway_factory import GatewayFactory
from activities.reconcile.abandoned_reservations import AbandonedReservations
from activities.reconcile.abandoned_rows import AbandonedRows
from activities.reconcile.expired_files import ExpiredFiles
from activities.reconcile.findings import GRACE, Check, Inconsistency
from activities.reconcile.inconsistent_schedules import InconsistentSchedules
from activities.reconcile.leftover_checkpoints import LeftoverCheckpoints
from activities.reconcile.missing_sandboxes import MissingSandboxes
from activities.reconcile.orphaned_sandboxes import OrphanedSandboxes
from activities.reconcile.orphaned_workflows import OrphanedWorkflows
from activities.reconcile.sandbox_accounts import SandboxAccounts
from activities.reconcile.unsettled_pull_requests import UnsettledPullRequests
from activities.reconcile.unstarted_rows import GRACE as UNSTARTED
from activities.reconcile.unstarted_rows import UnstartedRows
from activities.sandboxes.lifecycle import SandboxActivities
from kit.database import Database


def checks(
    database: Database,
    client: Client,
    outside: GatewayFactory,
    grace: timedelta = GRACE,
    *,
    by_operator: bool = False,
    gone: Collection[str] = (),
) -> dict[Inconsistency, Check]:
    """One look at everything.

    grace: what was heard of within so long is left alone.
    by_operator: workflows that do not heed a cancel are terminated, and pauses are not waited for.
    gone: see `AbandonedRows`.
    """
    accounts = SandboxAccounts(database, outside, insists=by_operator)
    every: list[Check] = [
        AbandonedRows(database, client, SandboxActivities(database, outside), grace, gone=gone),
        UnstartedRows(database, client, min(grace, UNSTARTED)),
        OrphanedWorkflows(database, client, grace, terminate=by_operator),
        OrphanedSandboxes(database, accounts, grace),
        MissingSandboxes(database, accounts, grace),
        InconsistentSchedules(database, client),
        UnsettledPullRequests(database, outside, grace, insists=by_operator),
        LeftoverCheckpoints(database, outside, grace, insists=by_operator),
        AbandonedReservations(database, grace),
        ExpiredFiles(database, outside.settings, grace),
    ]
    return {check.kind: check for check in every}
