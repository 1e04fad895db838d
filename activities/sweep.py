"""The sweep: what was accepted and has no workflow yet gets one."""

from datetime import timedelta

from sqlalchemy import or_, select
from sqlmodel import col
from temporalio import activity
from temporalio.client import Client

from activities.chain_starting import ChainInput, start_chain
from activities.job_starting import JobInput, start_job
from activities.merge_starting import MergeInput, start_merge
from activities.starting import RunInput, start_run
from kit.database import Database
from kit.logs import logger
from models import AnsweringSession, IssueSession, MergeJob, Run, SprintChain, WorkChain
from models.answering_session import AnsweringStatus
from models.base import now
from models.chain import ChainStatus
from models.issue_session import IssueSessionStatus
from models.job import Job
from models.merge_job import MergeKind, MergeStatus
from models.run import RunSource, RunStatus

GRACE = timedelta(seconds=5)
"""A run younger than this may still be started by the API that accepted it."""
AT_ONCE = 500
OF_CHAINS = [RunSource.sprint_chain, RunSource.work_chain]

log = logger(__name__)


class Sweep:
    def __init__(self, database: Database, client: Client) -> None:
        self.database = database
        self.client = client

    @activity.defn
    async def start_pending_runs(self) -> int:
        """Start the workflow of every pending run; how many.  A second start changes nothing.

        A chain starts its own runs, and waits for them.
        """
        async with self.database.transaction() as session:
            statement = (
                select(Run)
                .where(col(Run.status) == RunStatus.pending, col(Run.created_at) < now() - GRACE)
                .where(or_(col(Run.source).not_in(OF_CHAINS), col(Run.restarted_from).is_not(None)))
                .order_by(col(Run.id))
                .limit(AT_ONCE)
            )
            pending = [RunInput.of(run) for run in (await session.execute(statement)).scalars()]
        for start in pending:
            await start_run(self.client, start)
            log.info("a run left pending was started", run_id=start.run_id)
        return len(pending)

    @activity.defn
    async def start_pending_jobs(self) -> int:
        """Start the workflow of every pending issue or answering session, or merge of several; how many.

        A second start changes nothing.
        """
        old_enough = now() - GRACE
        scans = select(IssueSession).where(
            col(IssueSession.status) == IssueSessionStatus.pending, col(IssueSession.created_at) < old_enough
        )
        answering = select(AnsweringSession).where(
            col(AnsweringSession.status) == AnsweringStatus.pending,
            col(AnsweringSession.started_at).is_(None), col(AnsweringSession.created_at) < old_enough,
        )  # fmt: skip
        merges = select(MergeJob).where(
            col(MergeJob.status) == MergeStatus.pending, col(MergeJob.kind) == MergeKind.integration,
            col(MergeJob.created_at) < old_enough,
        )  # fmt: skip
        async with self.database.transaction() as session:
            jobs: list[Job] = [*(await session.execute(scans.limit(AT_ONCE))).scalars()]
            jobs += (await session.execute(answering.limit(AT_ONCE))).scalars()
            jobs += (await session.execute(merges.limit(AT_ONCE))).scalars()
        pending = [JobInput.of(job) for job in jobs]
        for start in pending:
            await start_job(self.client, start)
            log.info("a job left pending was started", job_id=start.job_id)
        return len(pending)

    @activity.defn
    async def start_pending_chains(self) -> int:
        """Start the workflow of every chain that waits for it; how many.  A second start changes nothing."""
        sprint_chains = select(SprintChain).where(col(SprintChain.status) == ChainStatus.pending)
        work_chains = select(WorkChain).where(
            col(WorkChain.status) == ChainStatus.pending, col(WorkChain.asked_at).is_not(None)
        )
        async with self.database.transaction() as session:
            pending = [
                ChainInput.of(chain)
                for statement in (sprint_chains, work_chains)
                for chain in (await session.execute(statement.limit(AT_ONCE))).scalars()
            ]
        for start in pending:
            await start_chain(self.client, start)
            log.info("a chain left pending was started", chain_id=start.chain_id)
        return len(pending)

    @activity.defn
    async def start_pending_merges(self) -> int:
        """Start the workflow of every pending merge; how many.  A second start changes nothing."""
        async with self.database.transaction() as session:
            statement = (
                select(MergeJob)
                .where(col(MergeJob.status) == MergeStatus.pending)
                .where(col(MergeJob.kind) == MergeKind.pull_request)
                .limit(AT_ONCE)
            )
            pending = [MergeInput.of(job) for job in (await session.execute(statement)).scalars()]
        for start in pending:
            await start_merge(self.client, start)
            log.info("a merge left pending was started", job_id=start.job_id)
        return len(pending)
