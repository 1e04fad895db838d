"""Rows that were accepted and have no workflow yet: given one."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from temporalio.client import Client

from activities.jobs.launch import start_row
from activities.reconcile.executions import workflow_status, workflow_statuses
from activities.reconcile.findings import Finding, Inconsistency
from kit.database import Database
from models.base import now
from models.chains.chain import Chain
from models.jobs.job import Job
from models.jobs.job_registry import JOB_KINDS, WorkflowRow, load_rows, unstarted_rows

GRACE: Final = timedelta(seconds=5)
"""A row younger than this may still be started by the API that accepted it."""


class UnstartedRows:
    kind = Inconsistency.unstarted_row

    def __init__(self, database: Database, client: Client, grace: timedelta = GRACE) -> None:
        self.database, self.client, self.grace = database, client, grace
        self.examined = 0

    async def pages(self) -> AsyncIterator[list[WorkflowRow]]:
        """Everything that is to be started here, a page at a time; nobody's bad row hides another's."""
        until = now() - self.grace
        for kind in JOB_KINDS.values():
            after = ""
            while True:
                async with self.database.read_only() as session:
                    page = await unstarted_rows(session, kind, until, after)
                if not page:
                    break
                yield [row for row in page if row.temporal_namespace in (None, self.client.namespace)]
                after = page[-1].id

    async def start(self, row: WorkflowRow) -> None:
        """Start its workflow, and write down where; one that was started before is left alone.

        Raises RPCError.
        """
        await start_row(self.client, row)
        if row.temporal_namespace is None:
            async with self.database.transaction() as session:
                there = await session.get(type(row), row.id, with_for_update=True)
                if isinstance(there, Job | Chain) and there.temporal_workflow_id == row.temporal_workflow_id:
                    there.temporal_namespace = self.client.namespace

    async def find(self) -> AsyncIterator[Finding]:
        self.examined = 0
        async for page in self.pages():
            self.examined += len(page)
            statuses = await workflow_statuses(self.client, [row.temporal_workflow_id for row in page])
            for row in page:
                if statuses[row.temporal_workflow_id] is None:
                    yield Finding(
                        kind=self.kind,
                        id=row.id,
                        since=row.created_at,
                        what="It was accepted, but no workflow was started for it.",
                        repair="starts its workflow",
                    )

    async def repair(self, finding: Finding) -> str | None:
        """Start it; a second start changes nothing."""
        async with self.database.read_only() as session:
            row = (await load_rows(session, [finding.id])).get(finding.id)
        if (
            row is None
            or row.is_finished
            or row.is_started
            or await workflow_status(self.client, row.temporal_workflow_id)
        ):
            return None
        await self.start(row)
        return "started"
