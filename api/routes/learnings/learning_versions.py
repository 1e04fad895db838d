"""Learning versions: compiled, listed, activated and deactivated."""

from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.learnings.learnings import Versions
from models.learnings.version import (
    LearningVersion,
    activate_version,
    compile_version,
    deactivate_version,
)
from models.learnings.version_schemas import (
    LEARNING_VERSION_SUMMARIES,
    LearningVersionRead,
    LearningVersionRef,
    LearningVersionSummary,
)

router = Router("/learning-versions", "Learning Versions")
READ, WRITE = requires("learnings:read"), requires("learnings:write")
Summaries = Annotated[
    ProjectRows[LearningVersion, LearningVersionSummary], project_rows(LEARNING_VERSION_SUMMARIES)
]


@router.get("/list", READ)
async def list_learning_versions(
    versions: Summaries, window: Annotated[PageQuery, Query()]
) -> ItemPage[LearningVersionSummary]:
    """List the project's learning versions, newest first, without their documents."""
    return versions.page(window)


@router.get("/get", READ)
async def get_learning_version(
    id: Annotated[str, Query(description="The version.")], versions: Versions
) -> Item[LearningVersionRead]:
    """Get one learning version with its document."""
    return versions.item(id)


@router.get("/active", READ)
async def get_active_learning_version(versions: Versions) -> Item[LearningVersionRead]:
    """Get the active learning version; 404 when none is active."""
    return versions.get_by(is_active=True)


@router.post("/compile", WRITE, creates=True)
async def compile_learning_version(versions: Versions, session: DbSession) -> Item[LearningVersionRead]:
    """Compile the approved learnings into a new version; 409 when none is approved.

    It is not active yet: activate it when it is to be told to agents.
    """
    key = versions.unit.key
    return versions.item((await compile_version(session, key.project_id, key.member_id)).id)


@router.post("/activate", WRITE)
async def activate_learning_version(
    body: LearningVersionRef, versions: Versions, session: DbSession
) -> Item[LearningVersionRead]:
    """Make a version the active one: agents of jobs that start from now on are told it.

    The one that was active before is not any more; what is at work keeps what it started with. Activating the
    active version changes nothing.
    """
    version = await versions.get(body.version_id)
    await activate_version(session, version)
    return versions.item(version.id)


@router.post("/deactivate", WRITE)
async def deactivate_learning_version(
    body: LearningVersionRef, versions: Versions, session: DbSession
) -> Item[LearningVersionRead]:
    """Deactivate the active version: jobs that start from now on are told no learnings.

    409 when it is not the active one.
    """
    version = await versions.get(body.version_id)
    await deactivate_version(session, version)
    return versions.item(version.id)
