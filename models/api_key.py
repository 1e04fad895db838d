"""Project API keys: only a hash is stored, the secret is shown once."""

import secrets
from datetime import datetime

from sqlalchemy import ARRAY, Text
from sqlmodel import Field

from kit.crypto import digest
from kit.ids import prefixed
from models.base import Table, Timestamp, now

SCOPES = [
    "projects:read", "projects:write", "api-keys:write", "workflows:read", "workflows:write",
    "personas:read", "personas:write", "runs:read", "runs:write", "runs:cancel",
    "issues:read", "issues:write", "sandboxes:read", "sandboxes:write", "learnings:read",
    "learnings:write", "assets:read", "assets:write", "chains:read", "chains:write",
    "recurring-tasks:read", "recurring-tasks:write", "notifications:read", "notifications:write",
    "analytics:read", "github:read", "github:write",
]  # fmt: skip
PREFIXES = ("cc_live_", "cc_test_")
SHOWN = 8
"""Characters of the secret's body that `keyPrefix` shows."""


class ApiKey(Table, table=True):
    id: str = Field(default_factory=prefixed("kak"), primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    member_id: str = Field(foreign_key="member.id")
    name: str
    hash: str = Field(unique=True)
    key_prefix: str
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    last_used_at: datetime | None = Field(default=None, sa_type=Timestamp)
    expires_at: datetime | None = Field(default=None, sa_type=Timestamp)
    revoked_at: datetime | None = Field(default=None, sa_type=Timestamp)

    @classmethod
    def generate(
        cls,
        *,
        project_id: str,
        member_id: str,
        name: str,
        scopes: list[str],
        expires_at: datetime | None = None,
    ) -> tuple["ApiKey", str]:
        """A new key and its secret, which is never stored."""
        secret = PREFIXES[0] + secrets.token_urlsafe(32)
        key = cls(
            project_id=project_id,
            member_id=member_id,
            name=name,
            hash=digest(secret),
            key_prefix=secret[: len(PREFIXES[0]) + SHOWN],
            scopes=scopes,
            expires_at=expires_at,
        )
        return key, secret

    def is_valid(self, at: datetime) -> bool:
        return self.revoked_at is None and (self.expires_at is None or at < self.expires_at)
