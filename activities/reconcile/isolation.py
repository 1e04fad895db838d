"""Isolation: what goes wrong with one thing is a fault of that one, and the others go on."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, TypeVar

from temporalio.service import RPCError

from activities.reconcile.executions import MAX_CONCURRENT_REQUESTS
from activities.reconcile.findings import Check, Finding
from gateways.errors import GatewayError
from kit.errors import RepositoryNotAllowed
from kit.logs import logger

T = TypeVar("T")
R = TypeVar("R")
EXPECTED_ERRORS: Final = (GatewayError, RepositoryNotAllowed, RPCError)
"""What an outside system fails with, or the operator has not allowed us; it says in words why."""

log = logger(__name__)


class Fault(NamedTuple):
    """What went wrong with one thing."""

    id: str
    reason: str
    is_outside: bool
    """Whether somebody else's system failed or is closed to us; the database and Temporal are ours."""

    @classmethod
    def of(cls, id: str, error: Exception) -> "Fault":
        """An outside system's words are fit to be told; of anything else only its name is."""
        if isinstance(error, EXPECTED_ERRORS):
            log.warning("reconcile.failed", id=id, reason=error.message)
            return cls(id, error.message, not isinstance(error, RPCError))
        log.error("reconcile.failed", id=id, reason=type(error).__name__, exc_info=error)
        return cls(id, type(error).__name__, False)


async def attempt(id: str, act: Callable[[T], Awaitable[R]], thing: T) -> R | Fault:
    """What comes of it, or its fault, which is logged.

    A bug, or a row that cannot be, is a fault of this thing like any other; only a cancel is raised.
    """
    try:
        return await act(thing)
    except Exception as error:  # noqa: BLE001  becomes the fault of this thing
        return Fault.of(id, error)


async def attempt_each(act: Callable[[T], Awaitable[R]], things: Mapping[str, T]) -> list[R | Fault]:
    """The same for many, by their ids, some at a time."""
    turn = asyncio.Semaphore(MAX_CONCURRENT_REQUESTS)

    async def one(id: str, thing: T) -> R | Fault:
        async with turn:
            return await attempt(id, act, thing)

    return list(await asyncio.gather(*(one(id, thing) for id, thing in things.items())))  # noqa: A001


async def run_check(check: Check) -> tuple[list[Finding], Fault | None]:
    """Everything that a check finds, and why it could not look at all there is, if it could not."""
    found: list[Finding] = []
    try:
        async for each in check.find():
            found.append(each)  # noqa: PERF401  what came before a fault is kept
    except Exception as error:  # noqa: BLE001  becomes the fault of this check
        return found, Fault.of(check.kind, error)
    return found, None
