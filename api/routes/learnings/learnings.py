"""Learnings: found or written, decided on, changed, counted."""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from kit.errors import Invalid
from kit.schemas import QueryFlag
from models.blueprints.persona import StepRole
from models.learnings.learning import (
    Learning,
    LearningOccurrence,
    LearningSeverity,
    LearningSource,
    LearningStatus,
)
from models.learnings.learning_schemas import (
    LEARNINGS,
    ChangedCount,
    LearningContentUpdate,
    LearningCreate,
    LearningRead,
    LearningStats,
    LearningStatusesUpdate,
    LearningStatusUpdate,
    count_learnings,
)
from models.learnings.version import LearningVersion
from models.learnings.version_schemas import (
    LEARNING_VERSIONS,
    LearningPreview,
    LearningVersionRead,
    preview_active,
    preview_draft,
    preview_version,
)
from models.runs.run import Run
from models.runs.run_schemas import RUNS, RunRead
from models.sandboxes.sandbox import Sandbox
from models.sandboxes.sandbox_schemas import SANDBOXES, SandboxRead

router = Router("/learnings", "Learnings")
READ, WRITE = requires("learnings:read"), requires("learnings:write")
Learnings = Annotated[ProjectRows[Learning, LearningRead], project_rows(LEARNINGS)]
Versions = Annotated[ProjectRows[LearningVersion, LearningVersionRead], project_rows(LEARNING_VERSIONS)]
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
Sandboxes = Annotated[ProjectRows[Sandbox, SandboxRead], project_rows(SANDBOXES)]


class LearningList(PageQuery):
    status: LearningStatus | None = None
    """Only those with this status."""
    category: Annotated[str, Field(max_length=100)] | None = None
    """Only those of this category."""
    severity: LearningSeverity | None = None
    """Only those of this severity."""
    source: LearningSource | None = None
    """Only those found by agents, or only those written by hand."""
    run_id: str | None = None
    """Only those that this run showed, for the first time or again."""
    sandbox_id: str | None = None
    """Only those that this sandbox showed, for the first time or again."""
    applicable_role: StepRole | None = None
    """Only those that agents of this role are told: of this role, or of every role."""


class SandboxLearnings(PageQuery):
    sandbox_id: str
    """The sandbox."""
    status: LearningStatus | None = None
    """Only those with this status."""


@router.get("", READ, name="list_learnings_legacy")
@router.get("/list", READ)
async def list_learnings(
    learnings: Learnings, window: Annotated[LearningList, Query()]
) -> ItemPage[LearningRead]:
    """List the project's learnings, newest first."""
    return learnings.page(window)


@router.get("/by-sandbox", READ)
async def list_learnings_by_sandbox(
    learnings: Learnings, sandboxes: Sandboxes, window: Annotated[SandboxLearnings, Query()]
) -> ItemPage[LearningRead]:
    """List the learnings that a sandbox showed, newest first."""
    await sandboxes.get(window.sandbox_id)
    return learnings.page(window)


@router.get("/stats", READ)
async def get_learning_stats(learnings: Learnings, session: DbSession) -> LearningStats:
    """Count the project's learnings by status, severity and category."""
    return await count_learnings(session, learnings.unit.key.project_id)


@router.get("/preview", READ)
async def preview_learnings(
    versions: Versions,
    session: DbSession,
    role: Annotated[
        StepRole | None, Query(description="The role whose part is shown; left out, the whole document.")
    ] = None,
    version_id: Annotated[
        str | None,
        Query(alias="versionId", description="The version to show; left out, the active one."),
    ] = None,
    draft: Annotated[
        QueryFlag,
        Query(description="Show what a version compiled now would hold instead; not with `versionId`."),
    ] = False,
) -> LearningPreview:
    """Show the compiled document as agents are told it, byte for byte.

    Of the active version unless another one is named: it is what stands in the system prompts of the jobs
    that start now. Without an active version the document is empty, as nothing is told.
    """
    project_id = versions.unit.key.project_id
    if draft and version_id is not None:
        raise Invalid("A draft is no version: pass either `draft` or `versionId`.", field="draft")
    if draft:
        return await preview_draft(session, project_id, role)
    if version_id is not None:
        return preview_version(await versions.get(version_id), role)
    return await preview_active(session, project_id, role)


@router.post("/create", WRITE, creates=True)
async def create_learning(
    body: LearningCreate, learnings: Learnings, runs: Runs, sandboxes: Sandboxes, session: DbSession
) -> Item[LearningRead]:
    """Write down a learning; it is pending until it is approved."""
    if body.run_id is not None:
        await runs.get(body.run_id)
    if body.sandbox_id is not None:
        await sandboxes.get(body.sandbox_id)
    learning = learnings.add(**body.model_dump())
    if body.run_id is not None or body.sandbox_id is not None:
        await session.flush()
        session.add(
            LearningOccurrence(learning_id=learning.id, run_id=body.run_id, sandbox_id=body.sandbox_id)
        )
    return learnings.item(learning.id)


@router.post("/update-status", WRITE)
async def update_learning_status(body: LearningStatusUpdate, learnings: Learnings) -> Item[LearningRead]:
    """Approve a learning, reject it, or make it pending again.

    Approved ones are told to agents once they are compiled into a version and that is activated; versions
    that were compiled before do not change.
    """
    learning = await learnings.get(body.learning_id, lock=True)
    learning.set_status(body.status, learnings.unit.key.member_id)
    return learnings.item(learning.id)


@router.post("/bulk-update-status", WRITE)
async def update_learning_statuses(body: LearningStatusesUpdate, learnings: Learnings) -> ChangedCount:
    """Decide on many learnings at once; ids that are unknown are passed over."""
    found = await learnings.get_many(body.learning_ids)
    member_id = learnings.unit.key.member_id
    return ChangedCount(count=sum([each.set_status(body.status, member_id) for each in found]))


@router.post("/update-content", WRITE)
async def update_learning_content(body: LearningContentUpdate, learnings: Learnings) -> Item[LearningRead]:
    """Change what a learning says; an approved one whose words change is pending again."""
    learning = await learnings.get(body.learning_id, lock=True)
    learning.update_content(**body.model_dump(exclude_unset=True, exclude={"learning_id"}))
    return learnings.item(learning.id)
