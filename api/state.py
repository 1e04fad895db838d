"""What one API process holds open, and one request's share of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from sqlmodel.ext.asyncio.session import AsyncSession

from api.auth import AuthenticatedKey, KeyCache
from api.http.idempotency import Claim, IdempotencyStore
from api.http.rate_limits import RateLimits
from api.realtime.event_stream import StreamRegistry
from api.realtime.listener import Listener
from api.realtime.stream_waker import StreamWaker
from api.temporal import TemporalGateway
from gateways.github.access import GitHubAccess
from kit.crypto import Vault
from kit.database import Database
from kit.redaction import RedactorCache
from kit.settings import Settings
from kit.sql_pool import SqlPool

AfterCommitAction = Callable[[], Awaitable[bool]]
"""Work for after the commit; True when it changed rows, so that the answer has to be read again."""


@dataclass(frozen=True, slots=True)
class AppState:
    """Opened by the lifespan, found at `app.state.api`."""

    settings: Settings
    database: Database
    """Shows no project's rows before it is told of which: see `UnitOfWork`."""
    read_pool: SqlPool
    """The same, for single statements that read."""
    listener: Listener
    keys: KeyCache
    rate_limits: RateLimits
    events: StreamRegistry
    stream_waker: StreamWaker
    temporal: TemporalGateway
    vault: Vault
    github_access: GitHubAccess
    redactors: RedactorCache
    idempotency: IdempotencyStore


class UnitOfWork:
    """One request's unit of work: its key, a session opened when first asked for, what follows the commit."""

    __slots__ = (
        "_if_match",
        "_session",
        "after_commit",
        "api",
        "claim",
        "database",
        "has_commands",
        "ignores_if_match",
        "key",
        "read_pool",
    )

    def __init__(self, api: AppState, key: AuthenticatedKey, *, if_match: str | None = None) -> None:
        self.api, self.key, self._if_match = api, key, if_match
        self.database, self.read_pool = (
            api.database.for_project(key.project_id),
            api.read_pool.for_project(key.project_id),
        )
        self.ignores_if_match = if_match is not None
        """Whether the client set a condition that nobody has looked at until now."""
        self._session: AsyncSession | None = None
        self.claim: Claim | None = None
        """Of the request's `Idempotency-Key`, where it has one."""
        self.after_commit: list[AfterCommitAction] = []
        self.has_commands = False
        """Whether the answer is only known after the commit, because the engine is told something then."""

    @property
    def if_match(self) -> str | None:
        """The condition of the request; who reads it, heeds it."""
        self.ignores_if_match = False
        return self._if_match

    @property
    def session(self) -> AsyncSession:
        if self._session is None:
            self._session = self.database.session()
        return self._session

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Sequence[object]]:
        """Rows as this request sees them: within its transaction when there is one."""
        if self._session is None:
            return await self.read_pool.fetch(sql, parameters)
        await self._session.flush()
        connection = await self._session.connection()
        return (await connection.exec_driver_sql(sql, dict(parameters))).all()

    async def commit(self) -> None:
        if self._session is not None:
            await self._session.commit()

    async def close(self) -> None:
        """Roll back what was not committed and give the connection back."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def run_after_commit(self) -> bool:
        """Do what was remembered, in order; True when rows may have changed."""
        return any([await work() for work in self.after_commit])


def app_state_of(request: Request) -> AppState:
    api: AppState = request.app.state.api
    return api


def unit_of_work_of(request: Request) -> UnitOfWork:
    """The unit of work of this request; only routes that need a key have one."""
    unit: UnitOfWork = request.scope["unit"]
    return unit
