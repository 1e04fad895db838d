"""Work chains: what their workflow writes, and the runs of their issues, each on top of those before.

Short transactions on our own database, as local activities.  Each is safe to repeat: a run is found again by
its unique key, and what the log says already is not written again.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.chains.lifecycle import ChainPlan, CloseChain, end_chain, has_event
from activities.jobs.launch import RunInput
from kit.database import Database
from kit.errors import Conflict
from kit.settings import Settings
from models import Event, Issue, Run, WorkChain
from models.base import JsonObject
from models.chains.chain import ChainStatus
from models.event import EventType, append_event
from models.issues.issue import IssueStatus, link_run
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import PrStatus, RunSource, RunStatus
from models.runs.run_start import RunStart, create_run, run_name_from_prompt


async def create_issue_run(
    session: AsyncSession, chain: WorkChain, index: int, issue: Issue, key: str, settings: Settings
) -> Run:
    """A pending run for the issue at this index; NotFound, Invalid or Conflict when it cannot be."""
    base_branch = await _base_branch(session, chain, index)
    request = RunStart(
        workflow_id=chain.workflow_id,
        prompt=issue.prompt,
        name=run_name_from_prompt(issue.title),
        base_branch=base_branch,
    )
    run = await create_run(
        session,
        project_id=chain.project_id,
        request=request,
        repository_slug=chain.repository_slug,
        repository_url=chain.github_repo_url,
        default_model=settings.default_model,
        source=RunSource.work_chain,
        unique_key=key,
        creates_base_branch=base_branch is not None and base_branch == chain.branch_name,
        priority=issue.priority.run_priority,
    )
    run.chain_id, run.temporal_namespace = chain.id, chain.temporal_namespace
    return run


async def _base_branch(session: AsyncSession, chain: WorkChain, index: int) -> str | None:
    """The branch of the last run before this index whose pull request waits; the chain's own without one.

    What was merged is in the branch below already, and its own branch may be gone.
    """
    before = [run_id for run_id in chain.issue_run_ids[:index] if run_id]
    runs = (await session.execute(select(Run).where(col(Run.id).in_(before)))).scalars()
    waiting = {
        run.id: run.branch_name
        for run in runs
        if run.status is RunStatus.completed and run.pr_url and run.pr_status is not PrStatus.merged
    }
    return next((waiting[run_id] for run_id in reversed(before) if run_id in waiting), chain.branch_name)


END_EVENTS = [EventType.chain_issue_completed, EventType.chain_issue_failed]


class ChainIssue(BaseModel):
    chain_id: str
    index: int


class IssueEnd(ChainIssue):
    run_id: str


class WorkChainActivities:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    @activity.defn
    async def begin_work_chain(self, chain_id: str) -> ChainPlan | None:
        """Take the chain, unless the API already did; None when it was cancelled before it began."""
        async with self.database.transaction() as session:
            chain = await session.get_one(WorkChain, chain_id, with_for_update=True)
            if chain.status.is_final:
                return None
            if chain.mark_started():
                append_event(session, chain, EventType.chain_started)
            return ChainPlan(index=chain.current_issue_index, count=chain.count)

    @activity.defn
    async def begin_issue(self, place: ChainIssue) -> RunInput | None:
        """The issue's run, pending, found again by chain, index and attempt; None: it is passed over."""
        async with self.database.transaction() as session:
            chain = await session.get_one(WorkChain, place.chain_id, with_for_update=True)
            key = f"{chain.id}:{place.index}:{chain.attempt}"
            statement = select(Run).where(col(Run.unique_key) == key)
            run: Run | None = (await session.execute(statement)).scalar_one_or_none()
            if run is None and chain.status.is_final:
                raise Conflict("The chain has ended.")  # asked by a worker that comes too late
            if run is None:
                issue = await session.get_one(Issue, chain.issue_ids[place.index])
                if issue.deleted_at or issue.status is IssueStatus.completed:
                    await _skip_issue(session, chain, place.index, issue)
                    return None
                _require_idle(issue)
                run = await create_issue_run(session, chain, place.index, issue, key, self.settings)
                chain.start_issue(place.index, run.id)
                data: JsonObject = {"index": place.index, "issueId": issue.id, "runId": run.id}
                append_event(session, chain, EventType.chain_issue_started, data)
                await session.refresh(issue, with_for_update=True)
                link_run(session, issue, run)
        return RunInput.of(run)

    @activity.defn
    async def end_issue(self, end: IssueEnd) -> RunStatus:
        """How the issue's run ended, and its pull request, on the chain's row."""
        async with self.database.transaction() as session:
            chain = await session.get_one(WorkChain, end.chain_id, with_for_update=True)
            run = await session.get_one(Run, end.run_id)
            if await has_event(session, chain, END_EVENTS, "runId", run.id):
                return run.status
            completed = run.status is RunStatus.completed
            if completed:
                chain.finish_issue(end.index, run.id, run.pr_url)
            data: JsonObject = {"index": end.index, "issueId": chain.issue_ids[end.index], "runId": run.id}
            kind = EventType.chain_issue_completed if completed else EventType.chain_issue_failed
            append_event(session, chain, kind, {**data, "prUrl": run.pr_url})
        return run.status

    @activity.defn
    async def close_work_chain(self, close: CloseChain) -> ChainStatus:
        """The last word of an attempt, told to the members unless it is a cancel; the first ending stays."""
        async with self.database.transaction() as session:
            chain = await session.get_one(WorkChain, close.chain_id, with_for_update=True)
            event = await end_chain(session, chain, close)
            if event is not None:
                await notify_chain_end(session, chain, event)
            return chain.status


async def _skip_issue(session: AsyncSession, chain: WorkChain, index: int, issue: Issue) -> None:
    """An issue that was deleted, or completed before its turn; the next ones stand on a run of this chain."""
    if await has_event(session, chain, [EventType.chain_issue_skipped], "issueId", issue.id):
        return
    run = await session.get(Run, issue.run_id) if issue.run_id and not issue.deleted_at else None
    ours = run if run and run.chain_id == chain.id else None
    chain.finish_issue(index, ours.id if ours else None, ours.pr_url if ours else None)
    reason = "deleted" if issue.deleted_at else "completed"
    data: JsonObject = {"index": index, "issueId": issue.id, "reason": reason}
    append_event(session, chain, EventType.chain_issue_skipped, data)


def _require_idle(issue: Issue) -> None:
    """Nobody works on an issue twice at the same time."""
    if issue.status is IssueStatus.running:
        raise Conflict(
            f"Run {issue.run_id} is at work on issue “{issue.title}”: start the chain again after its end."
        )


async def notify_chain_end(session: AsyncSession, chain: WorkChain, event: Event) -> None:
    """Tell the members how an attempt ended, unless it was cancelled."""
    data: JsonObject = {"workChainId": chain.id}
    if chain.status is ChainStatus.completed:
        made = sum(1 for url in chain.issue_pr_urls if url)
        title, body = f"Work chain “{chain.title}” completed", f"Pull requests opened: {made}."
        await notify_members(session, event, NotificationType.workflow_completed, title, body, data)
    elif chain.status is ChainStatus.failed:
        title, body = f"Work chain “{chain.title}” stopped", chain.error_message or ""
        await notify_members(session, event, NotificationType.run_failed, title, body, data)
