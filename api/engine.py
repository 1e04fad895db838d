"""The engine as the API sees it: workflows started and commands given, within a few seconds or not at all."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from temporalio.client import Client, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from kit.errors import Conflict, Unavailable
from kit.settings import Settings
from kit.temporal import connect

DEADLINE = timedelta(seconds=5)
"""How long a request waits for the engine."""
UNREACHABLE = "The engine cannot be reached just now; please try again."
GONE = "The engine is not at work on this: it has ended, or was not begun yet."

T = TypeVar("T")
Operation = Callable[[Client], Awaitable[T]]


class Engine:
    """Connects when first needed, and again until it succeeds; afterwards the client reconnects by itself."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def do(self, operation: Operation[T]) -> T:
        """Unavailable when the engine does not answer in time, Conflict when it refuses or has none such."""
        try:
            async with asyncio.timeout(DEADLINE.total_seconds()):
                return await operation(await self._connected())
        except WorkflowUpdateFailedError as error:
            said = error.cause.message if isinstance(error.cause, ApplicationError) else str(error.cause)
            raise Conflict(said) from error
        except RPCError as error:
            if error.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION):
                raise Conflict(GONE) from error
            raise Unavailable(UNREACHABLE) from error
        except (WorkflowUpdateRPCTimeoutOrCancelledError, TimeoutError) as error:
            raise Unavailable(UNREACHABLE) from error

    async def reachable(self) -> None:
        """Raises Unavailable when the engine does not answer."""
        await self.do(lambda client: client.service_client.check_health(timeout=DEADLINE))

    async def _connected(self) -> Client:
        if self._client is None:
            async with self._connecting:
                try:
                    self._client = self._client or await connect(self._settings)
                except RuntimeError as error:  # what the SDK raises when nobody answers
                    raise Unavailable(UNREACHABLE) from error
        return self._client
