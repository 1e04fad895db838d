"""An installation in which something does not agree, looked at by the checks of sweep and doctor."""

from collections.abc import Collection
from datetime import timedelta

from activities.gateway_factory import GatewayFactory
from activities.reconcile.checks import checks
from activities.reconcile.findings import Finding, Inconsistency
from tests.support.installation import Installation
from tests.support.scenarios import create, finish, register_scenario, with_delay

NO_GRACE = timedelta(0)
WORK = register_scenario("played-for-doctor", create("a.txt", "a\n"), finish("Made it."))
SLOW_WORK = register_scenario(
    "held-for-doctor",
    *(with_delay(create(f"{name}.txt", "it\n"), 2.0) for name in "abcde"),
    finish("Made it."),
)


async def find_all(
    site: Installation, kind: Inconsistency, grace: timedelta = NO_GRACE, *, gone: Collection[str] = ()
) -> dict[str, Finding]:
    """What a check finds, by id; other tests may have left damage of their own."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, grace, gone=gone)[kind]
    found = [finding async for finding in check.find()]
    by_id = {finding.id: finding for finding in found}
    assert len(by_id) == len(found), "found twice"
    return by_id


async def find_finding(
    site: Installation,
    kind: Inconsistency,
    id: str,
    grace: timedelta = NO_GRACE,
    *,
    gone: Collection[str] = (),
) -> Finding | None:
    """What a check finds of one thing."""
    return (await find_all(site, kind, grace, gone=gone)).get(id)


async def repair_once(site: Installation, kind: Inconsistency, id: str) -> str:
    """What was done about it; afterwards it is well, and repairing it again does nothing."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, NO_GRACE, by_operator=True)[kind]
    [finding] = [finding async for finding in check.find() if finding.id == id]
    done = await check.repair(finding)
    assert done is not None
    assert await check.repair(finding) is None or kind is Inconsistency.schedule
    assert await find_finding(site, kind, id) is None
    return done


async def repair_if_found(
    site: Installation, kind: Inconsistency, id: str, *, gone: Collection[str] = ()
) -> None:
    """Repair it if it is found: the worker's own sweep may be quicker, at any moment."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, NO_GRACE, by_operator=True, gone=gone)[kind]
    for finding in [finding async for finding in check.find() if finding.id == id]:
        await check.repair(finding)
