"""API keys: who calls, for which project, and what the key may do.

A key that was seen is kept for half a minute, so a request costs no query for it. Revocation is heard on
PostgreSQL's channel `api_keys` and empties the cache at once in every process. What is kept counts only while
it is certain that nothing was missed: for seconds after the listener's connection has last answered. A key's
last use is written to that half minute, and no write per request.

A key that is unknown is looked up by a read alone and remembered for some seconds: guesses write nothing,
and few of them are read at a time.  Which keys were valid when they were last read is remembered, too: who
shows one is no stranger (`api.http.rate_limits`), which says nothing of what the key may do now.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from sqlalchemy import text

from kit.crypto import digest
from kit.database import Database
from kit.errors import AuthInvalid, AuthMissing, Forbidden, ScopeDenied, Unavailable
from kit.sql_pool import SqlPool
from models.projects.api_key import SCOPES
from models.projects.project import Role

CHANNEL = "api_keys"
CACHE_SECONDS = 30.0
PROPAGATION_SECONDS = 0.05
"""A notification reaches every process within a few milliseconds."""
LISTENER_CURRENT_SECONDS = 5.0
"""How long after the listener's connection was last asked, and answered, the cache is believed: the longest
that a revoked key can live where the connection is half dead."""
INVALID_CACHE_SECONDS = 5.0
MAX_CACHED_KEYS = 10_000
"""Keys that are kept, and as many that are unknown."""
MAX_CONCURRENT_LOOKUPS = 4
"""At a time: the other connections are for those whose key is known."""
LOOKUP_WAIT_SECONDS = 5.0
"""How long to wait for that: without a database nobody waits for all that came before."""
_KEY_PATTERN = re.compile(r"cc_live_[A-Za-z0-9_-]{20,200}\Z")
_READ_KEY = """
    SELECT api_key.id, api_key.project_id, api_key.member_id, api_key.name, api_key.scopes,
        api_key.created_at, api_key.expires_at, api_key.last_used_at, member.role
    FROM api_key JOIN project ON project.id = api_key.project_id JOIN member ON member.id = api_key.member_id
    WHERE api_key.hash = %(hash)s AND api_key.revoked_at IS NULL
        AND (api_key.expires_at IS NULL OR api_key.expires_at > now())
        AND project.deleted_at IS NULL AND member.removed_at IS NULL
"""
_MARK_USED = text("UPDATE api_key SET last_used_at = now() WHERE id = :id RETURNING last_used_at")


@dataclass(frozen=True, slots=True)
class AuthenticatedKey:
    """A valid key, without its secret."""

    id: str
    project_id: str
    member_id: str
    name: str
    scopes: Sequence[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    role: Role
    """Of the member whose key it is."""

    def require(self, access: "Access") -> None:
        """ScopeDenied or Forbidden when the key may not do what needs this access."""
        if access.scope is not None and access.scope not in self.scopes:
            raise ScopeDenied(f"This key does not have the required '{access.scope}' scope.")
        if not self.role.includes(access.role):
            raise Forbidden(
                f"This needs the role '{access.role}'; the key belongs to a member with '{self.role}'."
            )


class KeyCache:
    """`reads` looks keys up, `database` writes when they were used."""

    def __init__(self, reads: SqlPool, database: Database) -> None:
        self._reads, self._database = reads, database
        self._seen: dict[str, tuple[float, AuthenticatedKey]] = {}
        self._unknown: dict[str, float] = {}
        """Until when each is believed to be unknown, the oldest first."""
        self._recognised: dict[str, None] = {}
        """Those that were valid when they were last read, the oldest first."""
        self._certain_until = 0.0
        self._generation = 0
        self._turn = asyncio.Semaphore(MAX_CONCURRENT_LOOKUPS)

    def clear(self, _: str = "") -> None:
        """Read every key anew; also those being read just now are not kept."""
        self._seen.clear()
        self._generation += 1

    def listener_confirmed(self, asked_at: float) -> None:
        """Nothing that was revoked before this moment, of the monotonic clock, was missed."""
        self._certain_until = asked_at + LISTENER_CURRENT_SECONDS

    def listener_lost(self) -> None:
        """Revocations are not heard any more."""
        self._certain_until = 0.0
        self.clear()

    @property
    def is_listener_current(self) -> bool:
        """Whether every revocation was heard, so that what is kept may be believed."""
        return monotonic() < self._certain_until

    async def wait_for_propagation(self) -> bool:
        """After the commit of a change: forget here, and wait a moment for it to be heard elsewhere."""
        self.clear()
        await asyncio.sleep(PROPAGATION_SECONDS)
        return False

    def is_known(self, authorization: str | None) -> bool:
        """Whether an `Authorization` header shows a key that was valid when it was last read."""
        secret = _secret_of(authorization or "")
        return secret is not None and digest(secret) in self._recognised

    async def authenticate(self, authorization: str | None) -> AuthenticatedKey:
        """The key of an `Authorization` header; AuthMissing or AuthInvalid."""
        if authorization is None:
            raise AuthMissing("Pass your API key as `Authorization: Bearer cc_live_…`.")
        if (secret := _secret_of(authorization)) is None:
            raise AuthInvalid("This is not a valid API key: keys look like `cc_live_…`.")
        hashed = digest(secret)
        key = self._cached(hashed)
        if key is None and not self._is_known_invalid(hashed):
            key = await self._look_up(hashed)
        if key is None or (key.expires_at is not None and datetime.now(UTC) >= key.expires_at):
            raise AuthInvalid("This API key is unknown, expired or revoked.")
        return key

    async def _look_up(self, hashed: str) -> AuthenticatedKey | None:
        """Read it when it is our turn, unless somebody has read it by then; Unavailable without a turn."""
        try:
            async with asyncio.timeout(LOOKUP_WAIT_SECONDS):
                await self._turn.acquire()
        except TimeoutError:
            raise Unavailable("Keys cannot be looked up just now; please try again.") from None
        try:
            if (key := self._cached(hashed)) is not None or self._is_known_invalid(hashed):
                return key
            return await self._read(hashed)
        finally:
            self._turn.release()

    def _cached(self, hashed: str) -> AuthenticatedKey | None:
        kept = self._seen.get(hashed) if self.is_listener_current else None
        return kept[1] if kept and monotonic() < kept[0] else None

    def _is_known_invalid(self, hashed: str) -> bool:
        return monotonic() < self._unknown.get(hashed, 0.0)

    async def _read(self, hashed: str) -> AuthenticatedKey | None:
        generation = self._generation
        rows = await self._reads.fetch(_READ_KEY, {"hash": hashed})
        self._recognised.pop(hashed, None)
        if not rows:
            self._seen.pop(hashed, None)
            self._remember_invalid(hashed)
            return None
        [(key_id, project_id, member_id, name, scopes, created_at, expires_at, used_at, role)] = rows
        if used_at is None or datetime.now(UTC) - used_at > timedelta(seconds=CACHE_SECONDS):
            used_at = await self._mark_used(key_id)
        key = AuthenticatedKey(
            key_id, project_id, member_id, name, tuple(scopes), created_at, expires_at, used_at, Role(role)
        )
        if len(self._recognised) >= MAX_CACHED_KEYS:
            del self._recognised[next(iter(self._recognised))]
        self._recognised[hashed] = None
        if self.is_listener_current and generation == self._generation:
            if len(self._seen) >= MAX_CACHED_KEYS:
                self._seen.clear()
            self._seen[hashed] = (monotonic() + CACHE_SECONDS, key)
        return key

    def _remember_invalid(self, hashed: str) -> None:
        """No key becomes known while it is remembered: whoever has a secret had it with the key's row."""
        self._unknown.pop(hashed, None)
        if len(self._unknown) >= MAX_CACHED_KEYS:
            del self._unknown[next(iter(self._unknown))]
        self._unknown[hashed] = monotonic() + INVALID_CACHE_SECONDS

    async def _mark_used(self, id: str) -> datetime | None:
        async with self._database.transaction() as session:
            used_at: datetime | None = (await session.execute(_MARK_USED, {"id": id})).scalar_one_or_none()
            return used_at


def _secret_of(authorization: str) -> str | None:
    """None where it has not the form of a key."""
    scheme, _, secret = authorization.partition(" ")
    return secret if scheme.lower() == "bearer" and _KEY_PATTERN.match(secret) else None


@dataclass(frozen=True, slots=True)
class Access:
    """What an operation asks of its key."""

    scope: str | None
    role: Role = Role.member
    scopes: Mapping[str, str] = field(default_factory=dict)
    """By the kind of what a request is about, where that decides: the handler asks for it."""


def requires(scope: str, role: Role = Role.member) -> Access:
    """Declared on every route: the one scope that its key must have, and the least role of its member."""
    if scope not in SCOPES:
        raise ValueError(f"'{scope}' is not a scope")
    return Access(scope, role)


def requires_by_kind(scopes: Mapping[str, str]) -> Access:
    """Where the kind of object decides on the scope, by kind; the handler has to `require` it."""
    for scope in scopes.values():
        requires(scope)
    return Access(None, scopes=scopes)


ANY_KEY = Access(None)
"""Any valid key will do."""
