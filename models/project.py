"""A project, its settings, and the members who share it."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Json, JsonObject, Table, Timestamp, choice, now


class Role(StrEnum):
    owner = "owner"
    admin = "admin"
    member = "member"


class Project(Table, table=True):
    """What an API key opens: everything else belongs to exactly one project."""

    id: str = Field(default_factory=prefixed("prj"), primary_key=True)
    name: str
    slug: str = Field(unique=True)
    github_repo_url: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    deleted_at: datetime | None = Field(default=None, sa_type=Timestamp)
    run_count: int = 0
    """The number of the newest run; only ever counts up, so that numbers are never used twice."""

    sandbox_system_prompt: str | None = None
    claude_md: str | None = None
    issue_discovery_prompt: str | None = None
    learning_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    git_commit_name: str = "CodeCourier"
    git_commit_email: str = "bot@codecourier.invalid"
    env_vars: dict[str, dict[str, object]] = Field(default_factory=dict, sa_type=Json)
    """name → {"value": sealed, "isSecret": bool}; opened only to fill a sandbox command's environment."""


class Member(Table, table=True):
    """A person of a project; keys are made by members and notifications are for them."""

    __table_args__ = (UniqueConstraint("project_id", "email"),)
    id: str = Field(default_factory=prefixed("user"), primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    email: str
    name: str
    role: Role = Field(default=Role.member, sa_type=choice(Role))
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    removed_at: datetime | None = Field(default=None, sa_type=Timestamp)
