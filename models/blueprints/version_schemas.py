"""Versions of a workflow on the wire, and what is asked of a workflow as a whole."""

from typing import Annotated

from pydantic import Field

from kit.schemas import Body, Read, Title, UtcTimestamp, Wire
from models.base import JsonObject
from models.blueprints.blueprint import BlueprintVersion, PipelineStep
from models.blueprints.blueprint_schemas import DOCUMENT, WORKFLOW, WorkflowConfig, WorkflowId
from models.json_view import JsonView, example, json_object_sql

VERSION = "wfv_0198f2c4a1b27c3d8e4f5a6b7c8d9e10"
MEMBER = "user_0198f2c4a1b27c3d8e4f5a6b7c8d9e11"
VersionNumber = Annotated[int, Field(ge=1, le=2**31 - 1)]


class WorkflowDocument(Wire):
    """What a workflow says."""

    name: str
    """What people call it."""
    description: str | None
    """What it is for."""
    pipeline_steps: list[PipelineStep]
    """The steps of a run, in the order of their work."""
    config: WorkflowConfig
    """How its runs are done."""
    workflow_graph: JsonObject | None
    """Whatever an editor keeps about how it draws the workflow."""


class MemberReference(Read):
    """A member of the project."""

    name: str
    """The member's name."""


class WorkflowVersionRead(Read):
    """What a workflow said at some time; versions never change."""

    model_config = example(
        id=VERSION,
        _id=VERSION,
        workflowId=WORKFLOW,
        version=1,
        document=DOCUMENT,
        createdBy={"id": MEMBER, "_id": MEMBER, "name": "Ada"},
        createdAt="2026-01-15T10:00:00.000Z",
    )
    workflow_id: str
    """The workflow."""
    version: int
    """Counts up from 1 with every change."""
    document: WorkflowDocument
    """What the workflow said."""
    created_by: MemberReference | None
    """The member whose key made the change; null where nobody knows any more."""
    created_at: UtcTimestamp
    """When the change was made."""


class WorkflowRevert(Body):
    """Which version a workflow shall say again."""

    model_config = example(workflowId=WORKFLOW, version=1)
    workflow_id: WorkflowId
    """The workflow; `id` is understood, too."""
    version: VersionNumber
    """The number of the version; it stays, and its document becomes a new version."""


class WorkflowDuplicate(Body):
    """Which workflow to copy."""

    model_config = example(workflowId=WORKFLOW, name="Build and check, carefully")
    workflow_id: WorkflowId
    """The workflow; `id` is understood, too."""
    name: Title | None = None
    """The name of the copy; `Copy of …` when it is left out."""


class WorkflowRename(Body):
    """A workflow's new name."""

    model_config = example(workflowId=WORKFLOW, name="Build and check, carefully")
    workflow_id: WorkflowId
    """The workflow; `id` is understood, too."""
    name: Title
    """The new name."""


_MEMBER = json_object_sql(id="member.id", _id="member.id", name="member.name")
WORKFLOW_VERSIONS = JsonView(
    WorkflowVersionRead,
    BlueprintVersion,
    "Version",
    keys=("version",),
    shown={
        "workflow_id": "blueprint_id",
        "created_by": f"(SELECT {_MEMBER} FROM member WHERE member.id = blueprint_version.created_by)",  # noqa: S608
    },
)
