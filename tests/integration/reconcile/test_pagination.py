"""Thousands of rows at once: looked at page by page, each by its workflow's id."""

from datetime import timedelta
from pathlib import Path

from activities.gateway_factory import GatewayFactory
from activities.reconcile.checks import checks
from activities.reconcile.findings import GRACE, PAGE_SIZE, Inconsistency
from kit.ids import new_id
from models import Run
from models.base import now
from models.runs.run import RunStatus
from tests.support.inconsistencies import WORK
from tests.support.installation import Installation, open_installation
from tests.support.stack import Servers

MANY = 2 * PAGE_SIZE + 50


async def test_every_page_is_looked_at(parts: Servers, tmp_path: Path) -> None:
    """Without a worker nothing else looks, and the one run that the engine has stays as it is."""
    async with open_installation(parts, "pages", tmp_path / "site") as site:
        known = await site.start(f"In the engine {WORK}")
        await _many(site, known)
        outside = GatewayFactory(site.settings, site.database)
        check = checks(site.database, site.client, outside)[Inconsistency.abandoned_row]
        found = [finding async for finding in check.find()]
        assert len({finding.id for finding in found}) == len(found) == MANY
        assert known.id not in {finding.id for finding in found}
        assert await check.repair(found[-1]) == "closed as failed, WORKFLOW_LOST"


async def _many(site: Installation, like: Run) -> None:
    """Runs that are held, and were last heard of before the grace."""
    long_ago = now() - GRACE - timedelta(seconds=1)
    async with site.database.transaction() as session:
        for number in range(2, MANY + 2):
            copy = like.model_dump(exclude={"id", "run_number", "unique_key", "status", "created_at"})
            session.add(
                Run(**copy, id=new_id("r"), run_number=number, status=RunStatus.paused, created_at=long_ago)
            )
        row = await session.get_one(Run, like.id)
        row.status, row.created_at = RunStatus.running, long_ago
