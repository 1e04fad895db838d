"""How what deletes for good is started: by the API after its commit, and by the sweep of the trash.

A deletion whose rows are still there is not done, so one that failed or was terminated is started again.
"""

from typing import Final

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from kit.temporal import KIND, PROJECT_ID, STATUS, TASK_QUEUE
from models.trash.kinds import TrashType, trash_kind_of
from models.trash.trashable import Trashable

PERMANENT_DELETION_WORKFLOW: Final = "PermanentDeletion"
PROJECT_DELETION_WORKFLOW: Final = "ProjectDeletion"


class Deletion(BaseModel):
    """An object that was deleted for good."""

    type: TrashType
    id: str
    project_id: str

    @classmethod
    def of(cls, row: Trashable) -> "Deletion":
        return cls(type=trash_kind_of(row).entity, id=row.id, project_id=row.project_id)

    @property
    def temporal_workflow_id(self) -> str:
        return f"delete-{self.id}"


async def start_deletion(client: Client, deletion: Deletion) -> None:
    """Start the workflow that deletes it; one at work is left alone.  Raises RPCError."""
    await _start(
        client,
        PERMANENT_DELETION_WORKFLOW,
        deletion,
        id=deletion.temporal_workflow_id,
        project_id=deletion.project_id,
        kind="permanent-deletion",
        summary=f"Deletes {deletion.type} {deletion.id} for good",
    )


def project_deletion_id(project_id: str) -> str:
    return f"delete-{project_id}"


async def start_project_deletion(client: Client, project_id: str) -> None:
    """Start the workflow that deletes a project; one at work is left alone.  Raises RPCError."""
    await _start(
        client,
        PROJECT_DELETION_WORKFLOW,
        project_id,
        id=project_deletion_id(project_id),
        project_id=project_id,
        kind="project-deletion",
        summary=f"Deletes project {project_id}",
    )


async def _start(
    client: Client, name: str, input: BaseModel | str, *, id: str, project_id: str, kind: str, summary: str
) -> None:
    attributes = [
        SearchAttributePair(PROJECT_ID, project_id),
        SearchAttributePair(KIND, kind),
        SearchAttributePair(STATUS, "running"),
    ]
    await client.start_workflow(
        name,
        input,
        id=id,
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes(attributes),
        static_summary=summary,
        priority=Priority(fairness_key=project_id),
    )
