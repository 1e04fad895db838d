"""The engine as the API sees it: workflows started and commands given, within a few seconds or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.admission import NamespaceTaken, namespace_owner
from kit.database import Database
from kit.errors import Conflict, Internal, Unavailable
from kit.logs import logger
from kit.settings import Settings
from kit.temporal import connect
from models.reconcile.installation import get_installation

DEADLINE = timedelta(seconds=5)
"""How long a request waits for the engine."""
UNREACHABLE = "The engine cannot be reached just now; please try again."
SUSPENDED = "The workers of this version cannot go on with it; please try again when that was corrected."
SUSPENDED_MARK = b"WorkflowNotReadyFailure"
"""What Temporal answers for a workflow whose task fails (docs/upgrading.md)."""
NOT_RUNNING = "The engine is not at work on this: it has ended, or was not begun yet."
NO_WORKER_YET = "No worker of this server has started yet; please try again when one has."
MISCONFIGURED = "The server is configured for a Temporal namespace that is not its own; its log has more."

log = logger(__name__)
T = TypeVar("T")
Operation = Callable[[Client], Awaitable[T]]


class TemporalGateway:
    """Connects when first needed, and again until it succeeds; afterwards the client reconnects by itself."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def call(self, operation: Operation[T]) -> T:
        """Unavailable when the engine does not answer in time, Conflict when it refuses or has none such."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await operation(await self._connected())
        except WorkflowUpdateFailedError as error:
            if isinstance(error.cause, ApplicationError) and error.cause.type == Internal.code:
                raise Internal(error.cause.message) from error
            said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
            raise Conflict(said) from error
        except RPCError as error:
            if SUSPENDED_MARK in error.raw_grpc_status:
                raise Unavailable(SUSPENDED) from error
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                raise Conflict(NOT_RUNNING) from error
            raise Unavailable(UNREACHABLE) from error
        except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            raise Unavailable(UNREACHABLE) from error

    async def check_reachable(self) -> None:
        """Raises Unavailable when the engine does not answer."""
        await self.call(lambda client: client.service_client.check_health(timeout=DEADLINE))

    async def _connected(self) -> Client:
        if self._client is None:
            async with self._connecting:
                self._client = self._client or await self._connect()
        return self._client

    async def _connect(self) -> Client:
        """A client that marks what it starts as the installation's; none in a namespace that is not its own.

        Until the first worker has bound the database to its namespace, nothing tells whether ours is right.
        What is accepted meanwhile stays pending, and a worker of the installation starts it.
        """
        try:
            async with self._database.read_only() as session:
                installation = await get_installation(session)
        except SQLAlchemyError as error:
            raise Unavailable(UNREACHABLE) from error
        if not installation.is_bound:
            log.warning("engine.unbound", namespace=self._settings.temporal_namespace)
            raise Unavailable(NO_WORKER_YET)
        reason = installation.mismatch_reason(self._settings.temporal_namespace)
        if reason is None:
            try:
                client = await connect(self._settings, installation.id)
            except RuntimeError as error:  # what the SDK raises when nobody answers
                raise Unavailable(UNREACHABLE) from error
            owner = await namespace_owner(client)
            if owner in (None, installation.id):
                return client
            reason = str(NamespaceTaken(client.namespace, owner))
        log.error("engine.refused", reason=reason)
        raise Unavailable(MISCONFIGURED)
