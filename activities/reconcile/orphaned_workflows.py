"""Workflows of ours that work for nobody: their row is over, was deleted, or has another workflow by now.

Only what carries this installation's id is looked at: a namespace may hold other things, of whatever type.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlmodel import col
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.executions import CLOSED_STATUSES, workflow_status, workflow_statuses
from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency, is_settled
from kit.database import Database
from kit.schemas import format_timestamp
from models import AgentSession
from models.base import now
from models.jobs.job_registry import JOB_KINDS, WorkflowRow, job_kind_of, load_rows
from models.reconcile.installation import get_installation

AGENT_SESSION_WORKFLOW: Final = "AgentSession"
JOB_WORKFLOWS: Final = [
    AGENT_SESSION_WORKFLOW,
    *(name for kind in JOB_KINDS.values() for name in kind.workflows),
]
MAX_TERMINATION_POLLS: Final = 25
TERMINATION_POLL_SECONDS: Final = 0.2


class _Reason(NamedTuple):
    """Why a workflow is orphaned."""

    text: str
    is_known: bool = True
    """Whether a row says so; a workflow that no row knows may have its row in a backup, or elsewhere."""


class OrphanedWorkflows:
    """terminate: end what does not heed a cancel within seconds; else it is only asked to end."""

    kind = Inconsistency.orphaned_workflow

    def __init__(
        self, database: Database, client: Client, grace: timedelta = GRACE, *, terminate: bool = False
    ) -> None:
        self.database, self.client, self.grace, self.terminate = database, client, grace, terminate
        self.examined = 0

    async def find(self) -> AsyncIterator[Finding]:
        self.examined = 0
        async with self.database.read_only() as session:
            installation = await get_installation(session)
        types = ", ".join(f"'{name}'" for name in JOB_WORKFLOWS)
        settled = format_timestamp(now() - self.grace)
        query = (
            f"Installation = '{installation.id}' AND ExecutionStatus = 'Running' "
            f"AND WorkflowType IN ({types}) AND StartTime <= '{settled}'"
        )
        page: list[WorkflowExecution] = []
        async for each in self.client.list_workflows(query, page_size=PAGE_SIZE):
            page.append(each)
            if len(page) == PAGE_SIZE:
                for finding in await self._orphaned(page):
                    yield finding
                page = []
        for finding in await self._orphaned(page):
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
            for _ in range(MAX_TERMINATION_POLLS):
                if await self._is_over(finding.id):
                    return "cancelled"
                await asyncio.sleep(TERMINATION_POLL_SECONDS)
            await handle.terminate(f"codecourier doctor: {reason.text}")
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:  # it ended by itself
                raise
        return "terminated, as it did not heed a cancel"

    async def _is_over(self, id: str) -> bool:
        status = await workflow_status(self.client, id)
        return status is None or status in CLOSED_STATUSES

    async def _orphaned(self, listed: list[WorkflowExecution]) -> list[Finding]:
        """What is listed may have ended a while ago: only what Temporal has open is orphaned."""
        self.examined += len(listed)
        reasons = await self._reasons([each.id for each in listed])
        statuses = await workflow_statuses(self.client, reasons)
        return [
            Finding(
                kind=self.kind,
                id=each.id,
                since=each.start_time,
                what=f"This {each.workflow_type} workflow is at work, but {reasons[each.id].text}.",
                repair="cancels it" + (", or terminates it if it does not end" if self.terminate else ""),
                needs_doctor=not reasons[each.id].is_known,
            )
            for each in listed
            if each.id in reasons
            and statuses[each.id] is not None
            and statuses[each.id] not in CLOSED_STATUSES
        ]

    async def _reasons(self, ids: list[str]) -> dict[str, _Reason]:
        """Why each is orphaned; those that are not are left out."""
        async with self.database.read_only() as session:
            agents = select(col(AgentSession.id), col(AgentSession.job_id)).where(
                col(AgentSession.id).in_([each for each in ids if job_kind_of(each) is None])
            )
            jobs: dict[str, str] = {row[0]: row[1] for row in (await session.execute(agents)).all()}
            owners = {
                each: jobs.get(each) if job_kind_of(each) is None else each.partition(".")[0] for each in ids
            }
            rows = await load_rows(session, [owner for owner in owners.values() if owner])
        reasons: dict[str, _Reason] = {}
        for each, owner in owners.items():
            if reason := self._reason(each, rows.get(owner or "")):
                reasons[each] = reason
        return reasons

    def _reason(self, id: str, row: WorkflowRow | None) -> _Reason | None:
        if row is None:
            return _Reason("no row knows of it", is_known=False)
        if row.is_finished:
            kind = job_kind_of(row.id)
            patience = max(self.grace, kind.cleanup_time if kind else self.grace)
            return _Reason(f"its row is {row.status}") if is_settled(row.completed_at, patience) else None
        if job_kind_of(id) is not None and row.temporal_workflow_id != id:
            return _Reason(f"its row is at attempt {row.temporal_workflow_id}")
        return None
