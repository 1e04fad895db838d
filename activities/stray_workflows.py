"""Workflows at work for nobody: their row is over, was deleted, or has another workflow by now."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.damage import GRACE, PAGE, Damage, Finding, is_settled
from activities.engine_rows import CLOSED, KINDS, EngineRow, fate_of, fates_of, kind_of, rows_of
from kit.database import Database
from kit.wire import iso
from models import AgentSession
from models.base import now

AGENT_SESSION_WORKFLOW: Final = "AgentSession"
WORKFLOWS: Final = [AGENT_SESSION_WORKFLOW, *(name for kind in KINDS.values() for name in kind.workflows)]
LOOKS: Final = 25
PAUSE: Final = 0.2


class StrayWorkflows:
    """terminate: end what does not heed a cancel within seconds; else it is only asked to end."""

    damage = Damage.stray_workflow

    def __init__(
        self, database: Database, client: Client, grace: timedelta = GRACE, *, terminate: bool = False
    ) -> None:
        self.database, self.client, self.grace, self.terminate = database, client, grace, terminate

    async def find(self) -> AsyncIterator[Finding]:
        types = ", ".join(f"'{name}'" for name in WORKFLOWS)
        settled = iso(now() - self.grace)
        query = f"ExecutionStatus = 'Running' AND WorkflowType IN ({types}) AND StartTime <= '{settled}'"
        listed = self.client.list_workflows(query, page_size=PAGE)
        page: list[WorkflowExecution] = []
        async for each in listed:
            page.append(each)
            if len(page) == PAGE:
                for finding in await self._strays(page):
                    yield finding
                page = []
        for finding in await self._strays(page):
            yield finding

    async def repair(self, finding: Finding) -> str | None:
        """Cancel it, so that it tidies up; asking twice changes nothing."""
        reason = (await self._reasons([finding.id])).get(finding.id)
        if reason is None or await self._is_over(finding.id):
            return None
        handle = self.client.get_workflow_handle(finding.id)
        try:
            await handle.cancel()
            if not self.terminate:
                return "asked to end"
            for _ in range(LOOKS):
                if await self._is_over(finding.id):
                    return "cancelled"
                await asyncio.sleep(PAUSE)
            await handle.terminate(f"codecourier doctor: {reason}")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it ended by itself
                raise
        return "terminated, as it did not heed a cancel"

    async def _is_over(self, id: str) -> bool:
        fate = await fate_of(self.client, id)
        return fate is None or fate in CLOSED

    async def _strays(self, listed: list[WorkflowExecution]) -> list[Finding]:
        """What is listed may have ended a while ago: only what the engine has open is a stray."""
        reasons = await self._reasons([each.id for each in listed])
        fates = await fates_of(self.client, reasons)
        return [
            Finding(
                damage=self.damage, id=each.id, since=each.start_time,
                what=f"This {each.workflow_type} workflow is at work, but {reasons[each.id]}.",
                cure="cancels it" + (", or terminates it if it does not end" if self.terminate else ""),
            )
            for each in listed
            if each.id in reasons and fates[each.id] is not None and fates[each.id] not in CLOSED
        ]  # fmt: skip

    async def _reasons(self, ids: list[str]) -> dict[str, str]:
        """Why each is a stray; those that are none are left out."""
        async with self.database.reading() as session:
            agents = select(col(AgentSession.id), col(AgentSession.job_id)).where(
                col(AgentSession.id).in_([each for each in ids if kind_of(each) is None])
            )
            jobs: dict[str, str] = {row[0]: row[1] for row in (await session.execute(agents)).all()}
            owners = {
                each: jobs.get(each) if kind_of(each) is None else each.partition(".")[0] for each in ids
            }
            rows = await rows_of(session, [owner for owner in owners.values() if owner])
        reasons: dict[str, str] = {}
        for each, owner in owners.items():
            if reason := self._reason(each, rows.get(owner or "")):
                reasons[each] = reason
        return reasons

    def _reason(self, id: str, row: EngineRow | None) -> str | None:
        if row is None:
            return "no row knows of it"
        if row.is_over:
            return f"its row is {row.status}" if is_settled(row.completed_at, self.grace) else None
        if kind_of(id) is not None and row.engine_id != id:
            return f"its row is at attempt {row.engine_id}"
        return None
