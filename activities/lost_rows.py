"""Rows that say they are at work while no workflow is: closed as failed, as if their workflow had done so."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError

from activities.answering_sessions import AnsweringSessions
from activities.chains import CloseChain, end_chain
from activities.damage import GRACE, Damage, Finding, is_settled
from activities.engine_rows import (
    CLOSED,
    KINDS,
    EngineKind,
    EngineRow,
    fate_of,
    fates_of,
    kind_of,
    rows_of,
    unfinished,
)
from activities.integrations import Integrations
from activities.issue_sessions import IssueSessions
from activities.jobs import CloseJob, Ending
from activities.merge_jobs import MergeEnd, MergeJobs
from activities.runs import RunActivities
from activities.sandboxes import SandboxActivities
from activities.work_chains import tell_the_end
from gateways.errors import GatewayError
from kit.database import Database
from kit.logs import logger
from models import AnsweringSession, IssueSession, MergeJob, Run, WorkChain
from models.chain import Chain, ChainStatus

WORKFLOW_LOST: Final = "WORKFLOW_LOST"
log = logger(__name__)


class LostRows:
    damage = Damage.lost_row

    def __init__(
        self, database: Database, client: Client, sandboxes: SandboxActivities, grace: timedelta = GRACE
    ) -> None:
        self.database, self.client, self.sandboxes, self.grace = database, client, sandboxes, grace

    async def find(self) -> AsyncIterator[Finding]:
        for kind in KINDS.values():
            page = await self._page(kind, "")
            while page:
                quiet = [row for row in page if is_settled(row.heard_at, self.grace)]
                fates = await fates_of(self.client, [row.engine_id for row in quiet])
                lost = [row.id for row in quiet if _is_lost(row, fates[row.engine_id])]
                for row in (await self._read(lost)).values():  # what ended while we asked is well
                    if not row.is_over and row.engine_id in fates:
                        yield _finding(kind, row, fates[row.engine_id])
                page = await self._page(kind, page[-1].id)

    async def repair(self, finding: Finding) -> str | None:
        """Close the row as its workflow would have, then kill its sandboxes; the first ending stays."""
        kind, row = kind_of(finding.id), (await self._read([finding.id])).get(finding.id)
        if kind is None or row is None or row.is_over:
            return None
        fate = await fate_of(self.client, row.engine_id)
        row = (await self._read([finding.id])).get(finding.id)
        if row is None or row.is_over or not _is_lost(row, fate):
            return None
        ending = await self._ending(kind, row, fate)
        await self._close(row, ending)
        if not isinstance(row, Chain):
            try:
                await self.sandboxes.release(row.id)
            except (GatewayError, ApplicationError) as error:  # it is found again, as a stray one
                log.warning("a sandbox could not be killed", job_id=row.id, reason=error.message)
        return f"closed as {ending.status}" + (f", {ending.code}" if ending.code else "")

    async def _ending(self, kind: EngineKind, row: EngineRow, fate: WorkflowExecutionStatus | None) -> Ending:
        """What the workflow itself says came of it, if it came to its end; else that it is lost."""
        if fate is WorkflowExecutionStatus.COMPLETED:
            handle = self.client.get_workflow_handle(row.engine_id, result_type=str)
            match await handle.result():
                case "completed":
                    return Ending(status="completed")
                case "cancelled":
                    return Ending(status="cancelled")
        again = kind.again.format(id=row.id)
        sentence = f"Its workflow {_words(fate)} before it could end well: {again}."
        return Ending(status="failed", code=WORKFLOW_LOST, message=sentence)

    async def _close(self, row: EngineRow, ending: Ending) -> None:
        close = CloseJob(job_id=row.id, ending=ending)
        match row:
            case Run():
                await RunActivities(self.database).close_run(close)
            case IssueSession():
                await IssueSessions(self.database).close_issue_session(close)
            case AnsweringSession():
                await AnsweringSessions(self.database).close_answering(close)
            case MergeJob(run_id=str(run_id)):
                code, message = ending.code or WORKFLOW_LOST, ending.message or ""
                await MergeJobs(self.database).close_merge(
                    MergeEnd(job_id=row.id, run_id=run_id, code=code, message=message)
                )
            case MergeJob():
                await Integrations(self.database).close_integration(close)
            case _:
                await self._close_chain(row, ending)

    async def _close_chain(self, seen: Chain, ending: Ending) -> None:
        """End the attempt that was seen; a later one is another workflow's."""
        async with self.database.transaction() as session:
            chain = await session.get_one(type(seen), seen.id, with_for_update=True)
            if chain.engine_id != seen.engine_id:
                return
            close = CloseChain(
                chain_id=chain.id, status=ChainStatus(ending.status), code=ending.code, message=ending.message
            )
            event = await end_chain(session, chain, close)
            if event is not None and isinstance(chain, WorkChain):
                await tell_the_end(session, chain, event)

    async def _page(self, kind: EngineKind, after: str) -> list[EngineRow]:
        async with self.database.reading() as session:
            return await unfinished(session, kind, after)

    async def _read(self, ids: list[str]) -> dict[str, EngineRow]:
        async with self.database.reading() as session:
            return await rows_of(session, ids)


def _is_lost(row: EngineRow, fate: WorkflowExecutionStatus | None) -> bool:
    """Its workflow is over, or was never there although the row says that the engine has it."""
    return fate in CLOSED or (fate is None and row.is_taken)


def _words(fate: WorkflowExecutionStatus | None) -> str:
    return "is not in the engine any more" if fate is None else f"was {fate.name.lower().replace('_', ' ')}"


def _finding(kind: EngineKind, row: EngineRow, fate: WorkflowExecutionStatus | None) -> Finding:
    return Finding(
        damage=Damage.lost_row, id=row.id, since=row.heard_at,
        what=f"This {kind.noun} is {row.status}, but its workflow {_words(fate)}.",
        cure="closes it as failed and tells the members",
    )  # fmt: skip
