"""Names of hosts and their addresses: looked up in threads of their own, a few at a time for each sandbox.

The resolver of the C library may take half a minute, and cannot be interrupted.  A sandbox whose names are
slow waits for its own look-ups, and keeps neither another sandbox's nor the server's work waiting.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

MAX_LOOKUPS = 4
"""Of one sandbox at a time."""
MAX_THREADS = 128
LOOKUP_SECONDS = 15.0

_THREADS = ThreadPoolExecutor(MAX_THREADS, "names")


class NameResolver:
    """The look-ups of one sandbox."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(MAX_LOOKUPS)

    async def resolve(self, host: str, port: int) -> list[str]:
        """All addresses of a host.  Raises OSError, UnicodeError and TimeoutError.

        A look-up that nobody waits for any more holds its place until it ends.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(LOOKUP_SECONDS):
            await self._free.acquire()
            lookup = _THREADS.submit(addresses, host, port)
            lookup.add_done_callback(lambda _: _release_slot(loop, self._free))
            return await asyncio.wrap_future(lookup)


def addresses(host: str, port: int) -> list[str]:
    return [str(address[0]) for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def _release_slot(loop: asyncio.AbstractEventLoop, free: asyncio.Semaphore) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(free.release)
