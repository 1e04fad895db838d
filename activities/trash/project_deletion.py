"""What deletes a project: one kind of thing after the other, outside first, its rows last.

Its keys are dead by then, so that nobody starts anything any more.  Every step looks at what is there and
ends or deletes that: killed anywhere and repeated, even while the first one is still at work, it goes on with
what is left.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Final, cast

from sqlalchemy import CursorResult, delete, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.gateway_factory import GatewayFactory, external_call
from activities.runs.files import FileStore
from activities.schedules.temporal_schedule import sync_temporal_schedule
from activities.trash.launch import project_deletion_id
from activities.trash.workflow_termination import end_workflows
from gateways.errors import CredentialMissing, UpstreamRefused
from gateways.git.hidden_refs import CHECKPOINT_PREFIX, checkpoint_ref
from gateways.sandboxes.control import SandboxFacts
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from kit.logs import logger
from models import Project, RecurringTask, Sandbox, UploadedFile, WebhookEndpoint
from models.chains.chain import Chain
from models.jobs.job import Job
from models.jobs.job_lookup import JOB_TABLES
from models.jobs.job_registry import JOB_KINDS, JobKind, WorkflowRow
from models.projects.project_rows import close_unfinished_rows, delete_statements, project_tables

MAX_PAGE_ROWS: Final = 500
DELETE_BATCH_ROWS: Final = 2_000
"""Rows that one statement deletes while others may still use the database."""
REASON: Final = "Its project is deleted."

log = logger(__name__)


class ProjectDeletion:
    def __init__(self, database: Database, client: Client, outside: GatewayFactory) -> None:
        self.database, self.client, self.outside = database, client, outside

    @activity.defn
    async def stop_project_schedules(self, project_id: str) -> int:
        """Switch its recurring tasks off and remove their schedules; how many it has."""
        async with self.database.transaction() as session:
            of_project = select(RecurringTask).where(col(RecurringTask.project_id) == project_id)
            tasks = (await session.execute(of_project.with_for_update())).scalars().all()
            for task in tasks:
                task.change(is_active=False)
        for task in tasks:
            await sync_temporal_schedule(self.database, self.client, task.id)
        return len(tasks)

    @activity.defn
    async def end_project_work(self, project_id: str) -> int:
        """End everything at work, chains before the runs that they would start; how much there was.

        A workflow may tidy up within its patience, else it is terminated.  Rows that no workflow closed are
        closed here, so that no sweep starts them.
        """
        ended = 0
        for kind in sorted(JOB_KINDS.values(), key=lambda kind: not issubclass(kind.table, Chain)):
            rows = await self._unfinished(kind, project_id)
            await end_workflows(self.client, [row.temporal_workflow_id for row in rows], REASON)
            await self._close(kind, project_id)
            ended += len(rows)
        others = [each async for each in self._workflows(project_id, "AND ExecutionStatus = 'Running'")]
        await end_workflows(self.client, others, REASON)
        return ended + len(others)

    @activity.defn
    async def end_project_webhooks(self, project_id: str) -> int:
        """End the workflows of its webhook endpoints; how many endpoints it has.

        Whoever wakes them passes over projects that are being deleted.
        """
        of_project = col(WebhookEndpoint.project_id) == project_id
        async with self.database.read_only() as session:
            found = await session.execute(select(col(WebhookEndpoint.id)).where(of_project))
            ids = list(found.scalars())
        await end_workflows(self.client, ids, REASON)
        return len(ids)

    @activity.defn
    async def kill_project_sandboxes(self, project_id: str) -> int:
        """Kill whatever lives of its sandboxes at the provider; how many did."""
        credentials = await self.outside.credentials(project_id)
        sandboxes = self.outside.sandboxes(credentials)
        with external_call():
            listed = await sandboxes.find({})
        killed = 0
        for start in range(0, len(listed), MAX_PAGE_ROWS):
            for facts in await self._of_project(project_id, listed[start : start + MAX_PAGE_ROWS]):
                with external_call():
                    killed += await sandboxes.kill(facts.id)
        return killed

    @activity.defn
    async def delete_project_refs(self, project_id: str) -> int:
        """Delete its jobs' checkpoints from every repository that they worked on; how many there were.

        A repository that is gone, or that may not be seen any more, is passed over.
        """
        credentials, deleted = await self.outside.credentials(project_id), 0
        for slug in await self._repositories(project_id):
            try:
                with external_call():
                    refs = await self.outside.hidden_refs(credentials, slug)
                    names = await refs.list_names()
                    deleted += await refs.delete(await self._checkpoints(project_id, names))
            except (UpstreamRefused, CredentialMissing, RepositoryNotAllowed) as refused:
                log.warning("project_deletion.refs_left", repository=slug, reason=refused.message)
        return deleted

    @activity.defn
    async def delete_project_files(self, project_id: str) -> int:
        """Delete the uploaded files that are kept outside the database; how many there were."""
        files, deleted = FileStore(self.database, self.outside.settings), 0
        of_project = (col(UploadedFile.project_id) == project_id) & col(UploadedFile.is_outside)
        while True:
            async with self.database.transaction() as session:
                found = await session.execute(select(UploadedFile).where(of_project).limit(MAX_PAGE_ROWS))
                rows = found.scalars().all()
                for row in rows:
                    with external_call():
                        await files.remove(session, row)
            deleted += len(rows)
            if len(rows) < MAX_PAGE_ROWS:
                return deleted

    @activity.defn
    async def delete_project_rows(self, project_id: str) -> bool:
        """Delete every row of the project, the project last; False when something was begun meanwhile.

        Most goes in small transactions.  The last one holds the project's row, which whatever is added has
        to refer to, so that nothing can be added beside it.
        """
        for name, statement in delete_statements(project_id, DELETE_BATCH_ROWS):
            gone = DELETE_BATCH_ROWS
            while gone == DELETE_BATCH_ROWS:
                async with self.database.transaction() as session:
                    if await _is_at_work(session, project_id):
                        return False
                    gone = cast("CursorResult[Any]", await session.execute(statement)).rowcount
            log.info("project_deletion.rows_deleted", project_id=project_id, table=name)
        async with self.database.transaction() as session:
            if await session.get(Project, project_id, with_for_update=True) is None:
                return True
            if await _is_at_work(session, project_id):
                return False
            for _ in range(2):  # the log refers to nothing: what was added meanwhile is seen the second time
                for table, condition in project_tables(project_id):
                    if table.name != Project.__tablename__:
                        await session.execute(delete(table).where(condition))
            await session.execute(delete(Project).where(col(Project.id) == project_id))
        return True

    @activity.defn
    async def delete_project_histories(self, project_id: str) -> int:
        """Delete what the engine remembers of its workflows; how many there were.

        The engine lists what it has a little later: what is missed goes when its retention is over.
        """
        deleted = 0
        async for each in self._workflows(project_id, "AND ExecutionStatus != 'Running'"):
            request = DeleteWorkflowExecutionRequest(
                namespace=self.client.namespace, workflow_execution=WorkflowExecution(workflow_id=each)
            )
            try:
                await self.client.workflow_service.delete_workflow_execution(request)
                deleted += 1
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
        return deleted

    async def _workflows(self, project_id: str, condition: str) -> AsyncIterator[str]:
        """The ids of its workflows but the one that deletes it."""
        own = project_deletion_id(project_id)
        query = f"ProjectId = '{project_id}' {condition}"
        async for each in self.client.list_workflows(query, page_size=MAX_PAGE_ROWS):
            if each.id != own:
                yield each.id

    async def _unfinished(self, kind: JobKind, project_id: str) -> list[WorkflowRow]:
        async with self.database.read_only() as session:
            return await _unfinished(session, kind, project_id)

    async def _close(self, kind: JobKind, project_id: str) -> None:
        """Close rows that no workflow closes any more; what is said of their end, nobody reads."""
        async with self.database.transaction() as session:
            await close_unfinished_rows(session, kind.table, kind.unfinished, project_id)

    async def _of_project(self, project_id: str, listed: list[SandboxFacts]) -> list[SandboxFacts]:
        """Those of the listed sandboxes that have a row, or a job, of the project."""
        async with self.database.read_only() as session:
            boxes = [facts.metadata.get("sandbox", "") for facts in listed]
            jobs = [facts.metadata.get("job", "") for facts in listed]
            own = {*await _filter_own_ids(session, Sandbox, project_id, boxes)}
            for table in JOB_TABLES.values():
                own |= {*await _filter_own_ids(session, table, project_id, jobs)}
        return [
            facts
            for facts in listed
            if facts.metadata.get("sandbox") in own or facts.metadata.get("job") in own
        ]

    async def _repositories(self, project_id: str) -> list[str]:
        """Those that its jobs have cloned: nothing was pushed to others."""
        slugs: set[str] = set()
        async with self.database.read_only() as session:
            for table in JOB_TABLES.values():
                of_project = (col(table.project_id) == project_id) & col(table.base_sha).is_not(None)
                found = await session.execute(select(col(table.repository_slug)).where(of_project).distinct())
                slugs |= {*found.scalars()}
        return sorted(slugs)

    async def _checkpoints(self, project_id: str, names: Iterable[str]) -> list[str]:
        """Those of the hidden refs that are of jobs of the project."""
        ids = [name.removeprefix(CHECKPOINT_PREFIX) for name in names]
        own: list[str] = []
        async with self.database.read_only() as session:
            for start in range(0, len(ids), MAX_PAGE_ROWS):
                for table in JOB_TABLES.values():
                    own += await _filter_own_ids(
                        session, table, project_id, ids[start : start + MAX_PAGE_ROWS]
                    )
        return [checkpoint_ref(job_id) for job_id in own]


async def _filter_own_ids(
    session: AsyncSession, table: type[Job] | type[Sandbox], project_id: str, ids: list[str]
) -> list[str]:
    """Those of the ids that are of rows of the project."""
    of_project = (col(table.project_id) == project_id) & col(table.id).in_(ids)
    return list((await session.execute(select(col(table.id)).where(of_project))).scalars())


async def _unfinished(session: AsyncSession, kind: JobKind, project_id: str) -> list[WorkflowRow]:
    table = kind.table
    statement = select(table).where(
        col(table.project_id) == project_id, col(table.status).in_(kind.unfinished)
    )
    return list((await session.execute(statement)).scalars())


async def _is_at_work(session: AsyncSession, project_id: str) -> bool:
    return any([await _unfinished(session, kind, project_id) for kind in JOB_KINDS.values()])
