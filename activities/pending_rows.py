"""Rows that were accepted and have no workflow yet: given one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy import or_, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client

from activities.damage import Damage, Finding
from activities.engine_rows import EngineRow, fate_of, fates_of, rows_of
from activities.row_starting import start_row
from kit.database import Database
from models import AnsweringSession, IssueSession, MergeJob, Run, SprintChain, WorkChain
from models.answering_session import AnsweringStatus
from models.base import now
from models.chain import ChainStatus
from models.issue_session import IssueSessionStatus
from models.merge_job import MergeStatus
from models.run import RunSource, RunStatus

GRACE: Final = timedelta(seconds=5)
"""A row younger than this may still be started by the API that accepted it."""
AT_ONCE: Final = 500
OF_CHAINS: Final = [RunSource.sprint_chain, RunSource.work_chain]


async def pending_runs(session: AsyncSession, grace: timedelta = GRACE) -> list[Run]:
    """Runs that nobody started.  A chain starts its own runs, and waits for them."""
    statement = (
        select(Run)
        .where(col(Run.status) == RunStatus.pending, col(Run.created_at) < now() - grace)
        .where(or_(col(Run.source).not_in(OF_CHAINS), col(Run.restarted_from).is_not(None)))
        .order_by(col(Run.id))
        .limit(AT_ONCE)
    )
    return list((await session.execute(statement)).scalars())


async def pending_jobs(
    session: AsyncSession, grace: timedelta = GRACE
) -> list[IssueSession | AnsweringSession | MergeJob]:
    """Issue and answering sessions, and merges, that nobody started."""
    old_enough = now() - grace
    scans = select(IssueSession).where(
        col(IssueSession.status) == IssueSessionStatus.pending, col(IssueSession.created_at) < old_enough
    )
    answering = select(AnsweringSession).where(
        col(AnsweringSession.status) == AnsweringStatus.pending,
        col(AnsweringSession.started_at).is_(None), col(AnsweringSession.created_at) < old_enough,
    )  # fmt: skip
    merges = select(MergeJob).where(
        col(MergeJob.status) == MergeStatus.pending, col(MergeJob.created_at) < old_enough
    )
    found: list[IssueSession | AnsweringSession | MergeJob] = []
    for statement in (scans, answering, merges):
        found += (await session.execute(statement.limit(AT_ONCE))).scalars()
    return found


async def pending_chains(session: AsyncSession) -> list[SprintChain | WorkChain]:
    """Chains that wait for their workflow: work chains only once their start was asked for."""
    sprint_chains = select(SprintChain).where(col(SprintChain.status) == ChainStatus.pending)
    work_chains = select(WorkChain).where(
        col(WorkChain.status) == ChainStatus.pending, col(WorkChain.asked_at).is_not(None)
    )
    chains: list[SprintChain | WorkChain] = [*(await session.execute(sprint_chains.limit(AT_ONCE))).scalars()]
    return [*chains, *(await session.execute(work_chains.limit(AT_ONCE))).scalars()]


class PendingRows:
    damage = Damage.pending_row

    def __init__(self, database: Database, client: Client, grace: timedelta = GRACE) -> None:
        self.database, self.client, self.grace = database, client, grace

    async def find(self) -> AsyncIterator[Finding]:
        async with self.database.reading() as session:
            rows: list[EngineRow] = [
                *await pending_runs(session, self.grace),
                *await pending_jobs(session, self.grace),
                *await pending_chains(session),
            ]
        fates = await fates_of(self.client, [row.engine_id for row in rows])
        for row in rows:
            if fates[row.engine_id] is None and row.created_at < now() - self.grace:
                yield Finding(
                    damage=self.damage, id=row.id, since=row.created_at,
                    what="It was accepted, but no workflow was started for it.", cure="starts its workflow",
                )  # fmt: skip

    async def repair(self, finding: Finding) -> str | None:
        """Start it; a second start changes nothing."""
        async with self.database.reading() as session:
            row = (await rows_of(session, [finding.id])).get(finding.id)
        if row is None or row.is_over or row.is_taken or await fate_of(self.client, row.engine_id):
            return None
        await start_row(self.client, row)
        return "started"
