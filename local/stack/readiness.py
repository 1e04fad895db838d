"""Waiting for a part to answer, and saying clearly which one did not."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import httpx

from local.stack.process import ProcessIdentity, StartError, tail

START_TIMEOUT_SECONDS: Final = 180.0
"""How long a part may take to answer, as long as its process lives: a busy host is slow."""
ResponsePredicate = Callable[[httpx.Response], bool]


def has_status(status: int) -> ResponsePredicate:
    return lambda answer: answer.status_code == status


async def wait_for_http(
    name: str,
    url: str,
    accept: ResponsePredicate,
    identity: ProcessIdentity,
    log: Path,
    patience: float = START_TIMEOUT_SECONDS,
) -> None:
    """Ask `url` until `accept` likes the answer.  Raises `StartError` when process or patience (s) ends."""
    no_certificates = ssl.SSLContext(
        ssl.PROTOCOL_TLS_CLIENT
    )  # loading them takes longer than starting a part
    async with httpx.AsyncClient(trust_env=False, verify=no_certificates, timeout=5.0) as http:

        async def answers() -> bool:
            with suppress(httpx.TransportError):
                return accept(await http.get(url))
            return False

        await wait_for(name, answers, identity, log, patience)


async def wait_for(
    name: str, is_ready: Callable[[], Awaitable[bool]], identity: ProcessIdentity, log: Path, patience: float
) -> None:
    deadline = time.monotonic() + patience
    while not await is_ready():
        if not identity.is_alive:
            raise StartError(f"{name} ended while starting; the end of {log}:\n{tail(log)}")
        if time.monotonic() > deadline:
            raise StartError(f"{name} was not ready after {patience:g} s; the end of {log}:\n{tail(log)}")
        await asyncio.sleep(0.05)
