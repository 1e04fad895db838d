"""The deletion of a project on the wire."""

from typing import Annotated, Literal

from pydantic import Field

from kit.wire import Body
from models.project_wire import PROJECT, ProjectRead
from models.view import example


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
