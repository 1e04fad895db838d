"""What deletes an object for good, one outside system after the other, its rows last.

Every step looks at what is there and deletes that: killed anywhere and repeated, even while the first one
is still at work, it deletes what is left.
"""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity
from temporalio.client import Client

from activities.gateway_factory import GatewayFactory, external_call
from activities.sandboxes.records import close_sandbox
from activities.trash.launch import Deletion
from activities.trash.workflow_termination import end_workflows
from gateways.git.repository import checkpoint_ref
from kit.database import Database
from kit.ids import is_id
from models import LearningExtraction, Sandbox
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.jobs.job_registry import load_rows
from models.trash import moves
from models.trash.kinds import TRASH_KINDS, TrashType


class PermanentDeletion:
    def __init__(self, database: Database, client: Client, outside: GatewayFactory) -> None:
        self.database, self.client, self.outside = database, client, outside

    @activity.defn
    async def end_deleted_work(self, deletion: Deletion) -> None:
        """End the workflow of a job, or of a sandbox of one's own: it may still be tidying up.

        Of a run, also what looks for learnings in it.
        """
        async with self.database.read_only() as session:
            boxes = [
                row.job_id for row in await _load_sandboxes(session, deletion) if is_id(row.job_id, "sj")
            ]
            of_run = select(col(LearningExtraction.id)).where(col(LearningExtraction.run_id) == deletion.id)
            readers = (await session.execute(of_run)).scalars()
            rows = await load_rows(session, [deletion.id, *boxes, *readers])
        await end_workflows(
            self.client, [row.temporal_workflow_id for row in rows.values()], "It is deleted for good."
        )

    @activity.defn
    async def kill_deleted_sandboxes(self, deletion: Deletion) -> int:
        """Kill the sandbox, or every sandbox of the job, and mark their rows; how many there were."""
        async with self.database.read_only() as session:
            boxes = [row.id for row in await _load_sandboxes(session, deletion)]
        if not boxes:
            return 0
        marker = "sandbox" if deletion.type is TrashType.sandbox else "job"
        credentials = await self.outside.credentials(deletion.project_id)
        with external_call():
            killed = await self.outside.sandboxes(credentials).kill_all({marker: deletion.id})
        async with self.database.transaction() as session:
            for row in await _load_sandboxes(session, deletion):
                close_sandbox(session, await get_job(session, row.job_id, lock=True), row)
        return killed

    @activity.defn
    async def delete_hidden_ref(self, deletion: Deletion) -> bool:
        """Delete a job's checkpoint from the repository; whether there was one."""
        async with self.database.read_only() as session:
            job = (await load_rows(session, [deletion.id])).get(deletion.id)
        if not isinstance(job, Job) or job.base_sha is None:  # without a clone nothing was ever pushed
            return False
        credentials = await self.outside.credentials(deletion.project_id)
        with external_call():
            refs = await self.outside.hidden_refs(credentials, job.repository_slug)
            return await refs.delete([checkpoint_ref(job.id)]) > 0

    @activity.defn
    async def delete_object_rows(self, deletion: Deletion) -> None:
        """Delete the object's rows in one transaction; what is gone already is fine."""
        async with self.database.transaction() as session:
            await moves.remove(session, TRASH_KINDS[deletion.type], deletion.id)


async def _load_sandboxes(session: AsyncSession, deletion: Deletion) -> list[Sandbox]:
    owner = Sandbox.id if deletion.type is TrashType.sandbox else Sandbox.job_id
    return list((await session.execute(select(Sandbox).where(col(owner) == deletion.id))).scalars())
