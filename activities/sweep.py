"""The sweep: what was accepted and has no workflow yet gets one."""

from datetime import timedelta

from sqlalchemy import select
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client

from activities.starting import RunInput, start_run
from kit.database import Database
from kit.logs import logger
from models import Run
from models.base import now
from models.run import RunStatus

GRACE = timedelta(seconds=5)
"""A run younger than this may still be started by the API that accepted it."""
AT_ONCE = 500

log = logger(__name__)


class Sweep:
    def __init__(self, database: Database, client: Client) -> None:
        self.database = database
        self.client = client

    @activity.defn
    async def start_pending_runs(self) -> int:
        """Start the workflow of every pending run; how many.  A second start changes nothing."""
        async with self.database.transaction() as session:
            statement = (
                select(Run)
                .where(col(Run.status) == RunStatus.pending, col(Run.created_at) < now() - GRACE)
                .order_by(col(Run.id))
                .limit(AT_ONCE)
            )
            pending = [RunInput.of(run) for run in (await session.execute(statement)).scalars()]
        for start in pending:
            await start_run(self.client, start)
            log.info("a run left pending was started", run_id=start.run_id)
        return len(pending)
