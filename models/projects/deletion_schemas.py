"""The deletion of a project on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from kit.schemas import Body
from models.json_view import example
from models.projects.project_schemas import PROJECT, ProjectRead


class ProjectDelete(Body):
    """Asks for the slug, so that nobody deletes a project by mistake."""

    model_config = example(slug="storefront")
    slug: Annotated[str, Field(max_length=100)]
    """The slug of the key's project."""


class ProjectDeletionRead(ProjectRead):
    """A project on its way out: its keys are dead, and a workflow deletes all that belongs to it."""

    model_config = example(
        id=PROJECT,
        _id=PROJECT,
        name="Storefront",
        slug="storefront",
        status="deleting",
        githubRepoUrl="https://github.com/org/repo",
        createdAt="2026-01-15T10:00:00.000Z",
        _creationTime=1768471200000,
    )
    status: Literal["deleting"] = "deleting"
    """What becomes of it."""
