"""The sweep: what was accepted and has no workflow yet gets one, and damage is mended where that is safe."""

from collections.abc import Sequence

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.checks import checks
from activities.damage import Check, Damage, Finding
from activities.engine_rows import EngineRow
from activities.outside import Outside
from activities.pending_rows import pending_chains, pending_jobs, pending_runs
from activities.row_starting import start_row
from gateways.errors import GatewayError
from kit.database import Database
from kit.logs import logger

log = logger(__name__)


class Sweep:
    def __init__(self, database: Database, client: Client, outside: Outside) -> None:
        self.database, self.client, self.outside = database, client, outside

    @activity.defn
    async def start_pending_runs(self) -> int:
        """Start the workflow of every pending run; how many.  A second start changes nothing."""
        async with self.database.transaction() as session:
            rows = await pending_runs(session)
        return await self._start(rows)

    @activity.defn
    async def start_pending_jobs(self) -> int:
        """The same for issue and answering sessions."""
        async with self.database.transaction() as session:
            rows = await pending_jobs(session)
        return await self._start(rows)

    @activity.defn
    async def start_pending_chains(self) -> int:
        """The same for chains."""
        async with self.database.transaction() as session:
            rows = await pending_chains(session)
        return await self._start(rows)

    @activity.defn
    async def mend(self, damage: Damage) -> int:
        """Find and repair one kind of damage; how much there was.

        Every repair is looked up before it is made, so a second execution goes on where the first one was
        killed.  What an outside system does not let us see or do is left to the next sweep.
        """
        mended = 0
        check = checks(self.database, self.client, self.outside)[damage]
        try:
            async for finding in check.find():
                mended += await _mended(check, finding)
        except (GatewayError, ApplicationError) as error:
            log.warning("damage could not be looked for", damage=damage, reason=error.message)
        return mended

    async def _start(self, rows: Sequence[EngineRow]) -> int:
        for row in rows:
            await start_row(self.client, row)
            log.info("what was left pending was started", id=row.id)
        return len(rows)


async def _mended(check: Check, finding: Finding) -> bool:
    try:
        done = await check.repair(finding)
    except (GatewayError, ApplicationError) as error:
        log.warning("damage could not be mended", id=finding.id, what=finding.what, reason=error.message)
        return False
    if done is not None:
        log.warning("damage was mended", id=finding.id, what=finding.what, done=done)
    return done is not None
