"""Project API keys: only a hash is stored, the secret is shown once.

A key that another key made may do no more than that one, lasts no longer, and is revoked with it.
"""

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ARRAY, ColumnElement, Index, Text, select, update
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.crypto import digest
from kit.errors import Forbidden
from kit.ids import prefixed
from kit.schemas import format_timestamp
from models.base import Table, Timestamp, now

SCOPES = [
    "projects:read",
    "projects:write",
    "api-keys:write",
    "workflows:read",
    "workflows:write",
    "personas:read",
    "personas:write",
    "runs:read",
    "runs:write",
    "runs:cancel",
    "issues:read",
    "issues:write",
    "sandboxes:read",
    "sandboxes:write",
    "learnings:read",
    "learnings:write",
    "assets:read",
    "assets:write",
    "chains:read",
    "chains:write",
    "recurring-tasks:read",
    "recurring-tasks:write",
    "notifications:read",
    "notifications:write",
    "analytics:read",
    "github:read",
    "github:write",
]
KEY_PREFIX: Final = "cc_live_"
SHOWN_PREFIX_CHARS = 8
"""Characters of the secret's body that `keyPrefix` shows."""


class ApiKey(Table, table=True):
    __table_args__ = (Index("api_key_newest_first", "project_id", "id"),)
    id: str = Field(default_factory=prefixed("kak"), primary_key=True)
    project_id: str = Field(foreign_key="project.id")
    member_id: str = Field(foreign_key="member.id")
    name: str
    hash: str = Field(unique=True)
    key_prefix: str
    scopes: list[str] = Field(sa_type=ARRAY(Text))
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    last_used_at: datetime | None = Field(default=None, sa_type=Timestamp)
    expires_at: datetime | None = Field(default=None, sa_type=Timestamp)
    revoked_at: datetime | None = Field(default=None, sa_type=Timestamp)
    created_by_key_id: str | None = Field(
        default=None, foreign_key="api_key.id", ondelete="CASCADE", index=True
    )
    """The key that made it; None for one that an operator made."""

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
        secret = KEY_PREFIX + secrets.token_urlsafe(32)
        key = cls(
            project_id=project_id,
            member_id=member_id,
            name=name,
            hash=digest(secret),
            key_prefix=secret[: len(KEY_PREFIX) + SHOWN_PREFIX_CHARS],
            scopes=scopes,
            expires_at=expires_at,
        )
        return key, secret

    def derive(
        self, *, member_id: str, name: str, scopes: Sequence[str], expires_at: datetime | None
    ) -> tuple["ApiKey", str]:
        """A key made with this one, and its secret; without an end of its own it ends with this one.

        Forbidden for what it would have and this one has not: a scope, or a later end.
        """
        if missing := sorted({*scopes} - {*self.scopes}):
            raise Forbidden(f"This key cannot grant what it does not have: {', '.join(missing)}.")
        if self.expires_at is not None and (expires_at or self.expires_at) > self.expires_at:
            end = format_timestamp(self.expires_at)
            raise Forbidden(f"This key ends at {end}, and so do the keys that it makes.", field="expiresAt")
        key, secret = ApiKey.generate(
            project_id=self.project_id,
            member_id=member_id,
            name=name,
            scopes=list(dict.fromkeys(scopes)),
            expires_at=expires_at or self.expires_at,
        )
        key.created_by_key_id = self.id
        return key, secret

    def revoke(self) -> None:
        """Refuse it from now on; the first moment stays."""
        self.revoked_at = self.revoked_at or now()


def key_tree_condition(root: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of the keys that `root` names, what was made with them, what was made with that, and so on.

    Keys that were revoked before are gone through, too.
    """
    tree = select(col(ApiKey.id)).where(root).cte("tree", recursive=True)
    tree = tree.union(select(col(ApiKey.id)).where(col(ApiKey.created_by_key_id) == tree.c.id))
    return col(ApiKey.id).in_(select(tree.c.id))


async def revoke_keys(session: AsyncSession, which: ColumnElement[bool]) -> None:
    """Revoke keys in one statement; the first moment stays.

    The caller holds the project's `ProjectMembers`, as whoever makes a key does, so that none is made
    meanwhile.  Every process hears of each key at the commit.
    """
    statement = update(ApiKey).where(which, col(ApiKey.revoked_at).is_(None)).values(revoked_at=now())
    await session.execute(statement, execution_options={"synchronize_session": False})
