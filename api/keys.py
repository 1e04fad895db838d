"""API keys: who calls, for which project, and what the key may do.

A key that was seen is kept for half a minute, so a request costs no query for it. Revocation is heard on
PostgreSQL's channel `api_keys` and empties the cache at once in every process; without a living listener
nothing is kept. Reading a key also writes when it was last used: exact to that half minute, and no write
per request.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from sqlalchemy import text

from kit.crypto import digest
from kit.database import Database
from kit.errors import AuthInvalid, AuthMissing, ScopeDenied
from models.api_key import SCOPES

CHANNEL = "api_keys"
FRESH_SECONDS = 30.0
SPREAD_SECONDS = 0.05
"""A notification reaches every process within a few milliseconds."""
LARGEST = 10_000
_FORM = re.compile(r"cc_(?:live|test)_[A-Za-z0-9_-]{20,200}\Z")
_USE = text(
    "UPDATE api_key SET last_used_at = now() FROM project"
    " WHERE api_key.hash = :hash AND api_key.revoked_at IS NULL"
    " AND project.id = api_key.project_id AND project.deleted_at IS NULL"
    " RETURNING api_key.id, api_key.project_id, api_key.member_id, api_key.name, api_key.scopes,"
    " api_key.created_at, api_key.expires_at, api_key.last_used_at"
)


@dataclass(frozen=True, slots=True)
class Key:
    """A valid key, without its secret."""

    id: str
    project_id: str
    member_id: str
    name: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None

    def require(self, scope: str) -> None:
        if scope not in self.scopes:
            raise ScopeDenied(f"This key does not have the required '{scope}' scope.")


class Keys:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: dict[str, tuple[float, Key]] = {}
        self._trusted = False
        self._generation = 0

    def forget(self, _: str = "") -> None:
        """Read every key anew; also those being read just now are not kept."""
        self._seen.clear()
        self._generation += 1

    def trust(self) -> None:
        """From now on revocations are heard."""
        self.forget()
        self._trusted = True

    def distrust(self) -> None:
        self._trusted = False
        self.forget()

    async def spread(self) -> bool:
        """After the commit of a change: forget here, and wait a moment for it to be heard elsewhere."""
        self.forget()
        await asyncio.sleep(SPREAD_SECONDS)
        return False

    async def check(self, authorization: str | None) -> Key:
        """The key of an `Authorization` header; AuthMissing or AuthInvalid."""
        if authorization is None:
            raise AuthMissing("Pass your API key as `Authorization: Bearer cc_live_…`.")
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer" or not _FORM.match(secret):
            raise AuthInvalid("This is not a valid API key: keys look like `cc_live_…` or `cc_test_…`.")
        hashed = digest(secret)
        kept = self._seen.get(hashed)
        key = kept[1] if kept and monotonic() < kept[0] else await self._read(hashed)
        if key is None or (key.expires_at is not None and datetime.now(UTC) >= key.expires_at):
            raise AuthInvalid("This API key is unknown, expired or revoked.")
        return key

    async def _read(self, hashed: str) -> Key | None:
        generation = self._generation
        async with self._database.transaction() as session:
            row = (await session.execute(_USE, {"hash": hashed})).one_or_none()
        if row is None:
            self._seen.pop(hashed, None)
            return None
        key = Key(row[0], row[1], row[2], row[3], tuple(row[4]), row[5], row[6], row[7])
        if self._trusted and generation == self._generation:
            if len(self._seen) >= LARGEST:
                self._seen.clear()
            self._seen[hashed] = (monotonic() + FRESH_SECONDS, key)
        return key


@dataclass(frozen=True, slots=True)
class Access:
    """What an operation asks of its key."""

    scope: str | None


def needs(scope: str) -> Access:
    """Declared on every route: the one scope that its key must have."""
    if scope not in SCOPES:
        raise ValueError(f"'{scope}' is not a scope")
    return Access(scope)


ANY_KEY = Access(None)
"""Any valid key will do."""
