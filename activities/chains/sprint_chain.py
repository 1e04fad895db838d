"""Sprint chains: what their workflow writes, and the runs of their sprints.

Short transactions on our own database, as local activities.  Each is safe to repeat: a run is found again by
its unique key, and an ending that is there stays.
"""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.chains.lifecycle import ChainPlan, CloseChain, end_chain, has_event
from activities.jobs.launch import RunInput
from gateways.anthropic.conversation import truncate
from kit.database import Database
from kit.errors import Conflict
from kit.settings import Settings
from models import Run, RunStep, SprintChain
from models.agent.sections import untrusted_section
from models.base import JsonObject
from models.chains.chain import ChainStatus
from models.event import EventType, append_event
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import RunSource, RunStatus
from models.runs.run_start import RunStart, create_run, run_name_from_prompt
from models.runs.run_step import StepStatus

MAX_SUMMARY_CHARS = 2_000
"""Characters of an earlier sprint's summary that later ones are told."""
MAX_EARLIER_SPRINTS = 20
"""Earlier sprints that a sprint is told of, the latest ones."""


async def create_sprint_run(
    session: AsyncSession, chain: SprintChain, index: int, key: str, settings: Settings
) -> Run:
    """A pending run of the sprint with this index; NotFound, Invalid or Conflict when it cannot be."""
    number = chain.sprint_start + index
    prompt = chain.prompt.replace("{{sprint}}", str(number)).replace("{{sprintCount}}", str(chain.count))
    request = RunStart(
        workflow_id=chain.workflow_id,
        prompt="\n\n".join([prompt, *await _earlier_sprints(session, chain, index)]),
        name=f"Sprint {number}: {run_name_from_prompt(prompt)}",
        base_branch=chain.branch_name,
    )
    run = await create_run(
        session,
        project_id=chain.project_id,
        request=request,
        repository_slug=chain.repository_slug,
        repository_url=chain.github_repo_url,
        default_model=settings.default_model,
        source=RunSource.sprint_chain,
        unique_key=key,
        creates_base_branch=chain.branch_name is not None,
    )
    run.chain_id, run.temporal_namespace = chain.id, chain.temporal_namespace
    return run


async def _earlier_sprints(session: AsyncSession, chain: SprintChain, index: int) -> list[str]:
    """What the sprints before this one did, with their pull requests."""
    told = []
    done = list(enumerate(zip(chain.sprint_run_ids, chain.sprint_pr_urls, strict=False)))[:index]
    for place, (run_id, pr_url) in done[-MAX_EARLIER_SPRINTS:]:
        if run_id is None:
            continue
        summary = truncate(await _last_output(session, run_id), MAX_SUMMARY_CHARS)
        where = {"pull_request": pr_url} if pr_url else {}
        told.append(untrusted_section("sprint", summary, number=chain.sprint_start + place, **where))
    return told


async def _last_output(session: AsyncSession, run_id: str) -> str:
    statement = (
        select(col(RunStep.output))
        .where(col(RunStep.run_id) == run_id, col(RunStep.status) == StepStatus.completed)
        .order_by(col(RunStep.id).desc())
    )
    return (await session.execute(statement.limit(1))).scalar_one_or_none() or ""


END_EVENTS = [EventType.sprint_completed, EventType.sprint_failed]


class Sprint(BaseModel):
    chain_id: str
    index: int


class SprintEnd(Sprint):
    run_id: str


class SprintChainActivities:
    def __init__(self, database: Database, settings: Settings) -> None:
        self.database, self.settings = database, settings

    @activity.defn
    async def begin_chain(self, chain_id: str) -> ChainPlan | None:
        """Take the chain, unless the API already did; None when it was cancelled before it began."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, chain_id, with_for_update=True)
            if chain.status.is_final:
                return None
            if chain.mark_started():
                append_event(session, chain, EventType.chain_started)
            return ChainPlan(index=chain.first_index, count=chain.count)

    @activity.defn
    async def begin_sprint(self, sprint: Sprint) -> RunInput:
        """The sprint's run, pending; found again by chain, index and attempt.

        A run that an attempt before left at work, or that completed after it, is taken over.
        """
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, sprint.chain_id, with_for_update=True)
            key = f"{chain.id}:{sprint.index}:{chain.attempt}"
            statement = select(Run).where(col(Run.unique_key) == key)
            run: Run | None = (await session.execute(statement)).scalar_one_or_none()
            if run is None and chain.status.is_final:
                raise Conflict("The chain has ended.")  # asked by a worker that comes too late
            run = run or await self._find_unfinished_run(session, chain, sprint.index)
            if run is None:
                run = await create_sprint_run(session, chain, sprint.index, key, self.settings)
                chain.start_sprint(sprint.index, run.id)
                data: JsonObject = {"index": sprint.index, "runId": run.id}
                append_event(session, chain, EventType.sprint_started, data)
        return RunInput.of(run)

    async def _find_unfinished_run(self, session: AsyncSession, chain: SprintChain, index: int) -> Run | None:
        """The run of an earlier attempt, if it is at work or if nobody has told that it completed."""
        run = await session.get(Run, chain.sprint_run_id(index)) if chain.sprint_run_id(index) else None
        if run is None or not run.is_finished:
            return run
        if run.status is RunStatus.completed and not await has_event(
            session, chain, END_EVENTS, "runId", run.id
        ):
            return run
        return None

    @activity.defn
    async def end_sprint(self, end: SprintEnd) -> RunStatus:
        """How the sprint's run ended, and its pull request, on the chain's row."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, end.chain_id, with_for_update=True)
            run = await session.get_one(Run, end.run_id)
            if await has_event(session, chain, END_EVENTS, "runId", run.id):
                return run.status
            completed = run.status is RunStatus.completed
            if completed:
                chain.complete_sprint(end.index, run.pr_url)
            data: JsonObject = {"index": end.index, "runId": run.id, "prUrl": run.pr_url}
            event = append_event(
                session, chain, EventType.sprint_completed if completed else EventType.sprint_failed, data
            )
            kind = NotificationType.sprint_completed if completed else NotificationType.sprint_failed
            number = chain.sprint_start + end.index
            what = f"Sprint {number} {'completed' if completed else 'did not complete'}"
            body = run.pr_url or run.error_message or f"Its run is {run.status}."
            await notify_members(session, event, kind, what, body, {"sprintChainId": chain.id, **data})
        return run.status

    @activity.defn
    async def mark_stopping(self, chain_id: str) -> None:
        """Show that the chain ends after the active sprint; again, or after its end, it changes nothing."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, chain_id, with_for_update=True)
            if chain.request_stop():
                append_event(session, chain, EventType.chain_stopping)

    @activity.defn
    async def close_chain(self, close: CloseChain) -> ChainStatus:
        """The last word of an attempt; the first ending stays."""
        async with self.database.transaction() as session:
            chain = await session.get_one(SprintChain, close.chain_id, with_for_update=True)
            await end_chain(session, chain, close)
            return chain.status
