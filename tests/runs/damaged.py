"""An installation that was damaged on purpose, looked at by the checks of the sweep and of the doctor."""

from datetime import timedelta

from activities.checks import checks
from activities.damage import Damage, Finding
from activities.outside import Outside
from tests.runs.scenarios import create, delayed, finish, scripted
from tests.runs.site import Site

AT_ONCE = timedelta(0)
WORK = scripted("played-for-doctor", create("a.txt", "a\n"), finish("Made it."))
HELD = scripted("held-for-doctor", delayed(create("a.txt", "a\n"), 2.0), finish("Made it."))


async def find_all(site: Site, damage: Damage, grace: timedelta = AT_ONCE) -> dict[str, Finding]:
    """What a check finds, by id; other tests may have left damage of their own."""
    check = checks(site.database, site.client, Outside(site.settings, site.database), grace)[damage]
    found = [finding async for finding in check.find()]
    by_id = {finding.id: finding for finding in found}
    assert len(by_id) == len(found), "found twice"
    return by_id


async def find(site: Site, damage: Damage, id: str, grace: timedelta = AT_ONCE) -> Finding | None:
    """What a check finds of one thing."""
    return (await find_all(site, damage, grace)).get(id)


async def repair(site: Site, damage: Damage, id: str) -> str:
    """What was done about it; afterwards it is well, and repairing it again does nothing."""
    outside = Outside(site.settings, site.database)
    check = checks(site.database, site.client, outside, AT_ONCE, terminate=True)[damage]
    [finding] = [finding async for finding in check.find() if finding.id == id]
    done = await check.repair(finding)
    assert done is not None
    assert await check.repair(finding) is None or damage is Damage.schedule
    assert [finding async for finding in check.find() if finding.id == id] == []
    return done
