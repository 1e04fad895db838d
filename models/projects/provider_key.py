"""A project's own keys of the outside systems, encrypted at rest."""

from datetime import datetime
from enum import StrEnum

from sqlalchemy import UniqueConstraint
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Table, Timestamp, enum_column, now


class Provider(StrEnum):
    """An outside system: `e2b` (sandboxes), `anthropic` (an API key), `anthropic_token` (a bearer token),
    `github`, `openrouter` or `openai`."""

    e2b = "e2b"
    anthropic = "anthropic"
    anthropic_token = "anthropic_token"  # noqa: S105
    github = "github"
    openrouter = "openrouter"
    openai = "openai"


class ProviderKey(Table, table=True):
    __table_args__ = (UniqueConstraint("project_id", "provider"),)
    id: str = Field(default_factory=prefixed("pvk"), primary_key=True)
    project_id: str = Field(foreign_key="project.id")
    provider: Provider = Field(sa_type=enum_column(Provider))
    sealed: str
    last_four: str
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    updated_at: datetime = Field(default_factory=now, sa_type=Timestamp)
