"""The deletion of the key's project."""

from functools import partial

from fastapi import Request
from sqlalchemy import func, select

from activities.trash.launch import project_deletion_id, start_project_deletion
from api import auth
from api.after_commit import AfterCommitDep, DbSession
from api.auth import requires
from api.http.router import Router
from api.state import unit_of_work_of
from kit.errors import Invalid
from models.projects.project import Project, Role
from models.projects.project_schemas import ProjectDelete, ProjectDeletionRead

router = Router("/project", "Project Management")


@router.post("/delete", requires("projects:write", role=Role.owner))
async def delete_project(
    body: ProjectDelete, session: DbSession, workflows: AfterCommitDep, request: Request
) -> ProjectDeletionRead:
    """Delete the key's project, for good and with everything in it.

    All its keys are refused from now on. What is at work is ended, then schedules, sandboxes, checkpoints and
    every row are deleted, which may take a while; branches and pull requests stay.
    """
    unit = unit_of_work_of(request)
    project = await session.get_one(Project, unit.key.project_id, with_for_update=True)
    if body.slug != project.slug:
        raise Invalid("slug: it is not the slug of the key's project; nothing was deleted.", field="slug")
    project.delete()
    await session.execute(select(func.pg_notify(auth.CHANNEL, project.id)))
    unit.after_commit.append(unit.api.keys.wait_for_propagation)
    workflows.notify(project_deletion_id(project.id), partial(start_project_deletion, project_id=project.id))
    return ProjectDeletionRead(
        id=project.id,
        name=project.name,
        slug=project.slug,
        github_repo_url=project.github_repo_url,
        created_at=project.created_at,
        creation_time=int(project.created_at.timestamp() * 1000),
    )
