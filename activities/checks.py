"""Every check there is, in the order in which they are made: what one closes, a later one tidies up after."""

from datetime import timedelta

from temporalio.client import Client

from activities.damage import GRACE, Check, Damage
from activities.half_made_pull_requests import HalfMadePullRequests
from activities.lost_rows import LostRows
from activities.lost_sandboxes import LostSandboxes
from activities.outside import Outside
from activities.pending_rows import GRACE as UNSTARTED
from activities.pending_rows import PendingRows
from activities.sandboxes import SandboxActivities
from activities.stray_sandboxes import StraySandboxes
from activities.stray_schedules import StraySchedules
from activities.stray_workflows import StrayWorkflows
from kit.database import Database


def checks(
    database: Database,
    client: Client,
    outside: Outside,
    grace: timedelta = GRACE,
    *,
    terminate: bool = False,
) -> dict[Damage, Check]:
    """grace: what was heard of within so long is left alone; terminate: see `StrayWorkflows`."""
    every: list[Check] = [
        LostRows(database, client, SandboxActivities(database, outside), grace),
        PendingRows(database, client, min(grace, UNSTARTED)),
        StrayWorkflows(database, client, grace, terminate=terminate),
        StraySandboxes(database, outside, grace),
        LostSandboxes(database, outside, grace),
        StraySchedules(database, client),
        HalfMadePullRequests(database, outside, grace),
    ]
    return {check.damage: check for check in every}
