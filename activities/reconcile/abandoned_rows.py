"""Rows that say that they are at work while no workflow is: closed as failed, as that would have done."""

from collections import Counter
from collections.abc import AsyncIterator, Collection
from datetime import timedelta

from temporalio.client import Client, WorkflowExecutionStatus

from activities.jobs.lifecycle import JobResult
from activities.reconcile.executions import CLOSED_STATUSES, Statuses, workflow_statuses
from activities.reconcile.findings import GRACE, Finding, Inconsistency, is_settled
from activities.reconcile.row_closing import close_row
from activities.runs.pull_request import record_pull_request_search
from activities.runs.queue_signals import signal_next_runs
from activities.sandboxes.lifecycle import SandboxActivities
from gateways.errors import GatewayError
from kit.database import Database
from kit.logs import logger
from models import Run
from models.chains.chain import Chain
from models.jobs.job import WORKFLOW_LOST
from models.jobs.job_registry import JOB_KINDS, JobKind, WorkflowRow, job_kind_of, load_rows, unfinished_rows

log = logger(__name__)


class AbandonedRows:
    """Only rows whose workflow was started in the client's namespace are judged.

    gone: namespaces that do not exist any more, as an operator says; rows of theirs are abandoned.
    """

    kind = Inconsistency.abandoned_row

    def __init__(
        self,
        database: Database,
        client: Client,
        sandboxes: SandboxActivities,
        grace: timedelta = GRACE,
        *,
        gone: Collection[str] = (),
    ) -> None:
        self.database, self.client, self.sandboxes, self.grace = database, client, sandboxes, grace
        self.lost_namespaces = gone
        self.examined = 0
        self.foreign_rows: Counter[str] = Counter()
        """Rows that were passed over, by the namespace that their workflows are in."""

    async def find(self) -> AsyncIterator[Finding]:
        self.examined = 0
        self.foreign_rows.clear()
        for kind in JOB_KINDS.values():
            page = await self._page(kind, "")
            while page:
                self.examined += len(page)
                quiet = [
                    row
                    for row in page
                    if self._is_in_scope(row) and is_settled(row.last_activity_at, self.grace)
                ]
                self.foreign_rows.update(
                    str(row.temporal_namespace) for row in page if not self._is_in_scope(row)
                )
                statuses = await self._statuses(quiet)
                abandoned = [
                    row.id for row in quiet if self._is_abandoned(row, statuses[row.temporal_workflow_id])
                ]
                for row in (await self._read(abandoned)).values():  # what ended while we asked is well
                    if not row.is_finished and row.temporal_workflow_id in statuses:
                        yield _finding(kind, row, statuses[row.temporal_workflow_id])
                page = await self._page(kind, page[-1].id)

    async def repair(self, finding: Finding) -> str | None:
        """Close the row as its workflow would have, then kill its sandboxes; the first ending stays."""
        kind, row = job_kind_of(finding.id), (await self._read([finding.id])).get(finding.id)
        if kind is None or row is None or row.is_finished or not self._is_in_scope(row):
            return None
        status = (await self._statuses([row]))[row.temporal_workflow_id]
        row = (await self._read([finding.id])).get(finding.id)
        if row is None or row.is_finished or not self._is_abandoned(row, status):
            return None
        ending = await self._job_result(kind, row, status)
        if isinstance(row, Run):
            await record_pull_request_search(self.database, row.id)
        await close_row(self.database, row, ending)
        if isinstance(row, Run):
            await signal_next_runs(self.database, self.client, row.project_id)
        if not isinstance(row, Chain):
            try:
                await self.sandboxes.release(row.id)
            except GatewayError as error:  # it is found again, as an orphaned one
                log.warning("reconcile.sandbox_left", job_id=row.id, reason=error.message)
        return f"closed as {ending.status}" + (f", {ending.code}" if ending.code else "")

    def _is_in_scope(self, row: WorkflowRow) -> bool:
        return row.temporal_namespace in (None, self.client.namespace, *self.lost_namespaces)

    def _is_abandoned(self, row: WorkflowRow, status: WorkflowExecutionStatus | None) -> bool:
        """Its workflow is over, or is not there although one was started."""
        return status in CLOSED_STATUSES or (
            status is None and (row.is_started or row.temporal_namespace in self.lost_namespaces)
        )

    async def _statuses(self, rows: Collection[WorkflowRow]) -> Statuses:
        """Of a namespace that is gone, there is none."""
        asked = [
            row.temporal_workflow_id for row in rows if row.temporal_namespace not in self.lost_namespaces
        ]
        return dict.fromkeys(row.temporal_workflow_id for row in rows) | await workflow_statuses(
            self.client, asked
        )

    async def _job_result(
        self, kind: JobKind, row: WorkflowRow, status: WorkflowExecutionStatus | None
    ) -> JobResult:
        """What the workflow itself says came of it, if it came to its end; else that it is lost."""
        if status is WorkflowExecutionStatus.COMPLETED:
            handle = self.client.get_workflow_handle(row.temporal_workflow_id, result_type=str)
            match await handle.result():
                case "completed":
                    return JobResult(status="completed")
                case "cancelled":
                    return JobResult(status="cancelled")
        again = kind.retry_hint.format(id=row.id)
        sentence = f"Its workflow {_status_text(status)} before it could end well: {again}."
        return JobResult(status="failed", code=WORKFLOW_LOST, message=sentence)

    async def _page(self, kind: JobKind, after: str) -> list[WorkflowRow]:
        async with self.database.read_only() as session:
            return await unfinished_rows(session, kind, after)

    async def _read(self, ids: list[str]) -> dict[str, WorkflowRow]:
        async with self.database.read_only() as session:
            return await load_rows(session, ids)


def _status_text(status: WorkflowExecutionStatus | None) -> str:
    if status is None:
        return "is not in Temporal any more"
    return f"was {status.name.lower().replace('_', ' ')}"


def _finding(kind: JobKind, row: WorkflowRow, status: WorkflowExecutionStatus | None) -> Finding:
    return Finding(
        kind=Inconsistency.abandoned_row,
        id=row.id,
        since=row.last_activity_at,
        what=f"This {kind.noun} is {row.status}, but its workflow {_status_text(status)}.",
        repair="closes it as failed and tells the members",
        is_doubtful=True,
    )
