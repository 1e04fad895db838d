"""An installation in which something does not agree, looked at by the checks of sweep and doctor."""

from collections.abc import Collection
from datetime import timedelta

from activities.gateway_factory import GatewayFactory
from activities.reconcile.checks import checks
from activities.reconcile.findings import Finding, Inconsistency
from tests.support.installation import Site
from tests.support.scenarios import create, delayed, finish, scripted

AT_ONCE = timedelta(0)
WORK = scripted("played-for-doctor", create("a.txt", "a\n"), finish("Made it."))
HELD = scripted(
    "held-for-doctor", *(delayed(create(f"{name}.txt", "it\n"), 2.0) for name in "abcde"), finish("Made it.")
)


async def find_all(
    site: Site, kind: Inconsistency, grace: timedelta = AT_ONCE, *, gone: Collection[str] = ()
) -> dict[str, Finding]:
    """What a check finds, by id; other tests may have left damage of their own."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, grace, gone=gone)[kind]
    found = [finding async for finding in check.find()]
    by_id = {finding.id: finding for finding in found}
    assert len(by_id) == len(found), "found twice"
    return by_id


async def find(
    site: Site, kind: Inconsistency, id: str, grace: timedelta = AT_ONCE, *, gone: Collection[str] = ()
) -> Finding | None:
    """What a check finds of one thing."""
    return (await find_all(site, kind, grace, gone=gone)).get(id)


async def repair(site: Site, kind: Inconsistency, id: str) -> str:
    """What was done about it; afterwards it is well, and repairing it again does nothing."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, AT_ONCE, by_operator=True)[kind]
    [finding] = [finding async for finding in check.find() if finding.id == id]
    done = await check.repair(finding)
    assert done is not None
    assert await check.repair(finding) is None or kind is Inconsistency.schedule
    assert await find(site, kind, id) is None
    return done


async def mend(site: Site, kind: Inconsistency, id: str, *, gone: Collection[str] = ()) -> None:
    """Repair it if it is found: the worker's own sweep may be quicker, at any moment."""
    outside = GatewayFactory(site.settings, site.database)
    check = checks(site.database, site.client, outside, AT_ONCE, by_operator=True, gone=gone)[kind]
    for finding in [finding async for finding in check.find() if finding.id == id]:
        await check.repair(finding)
