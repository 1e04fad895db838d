"""The output of one process: a bounded ring that readers follow, each at its own pace.

While somebody reads, the ring holds what the slowest reader has not had yet, and a full ring makes the
process wait. While nobody reads, the process goes on and the oldest output gives way; the next reader gets
what is left.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from e2b.envd.process.process_pb import ProcessEvent

MAX_BUFFER_BYTES = 1 << 20


@dataclass(eq=False)
class Reader:
    """A place in the output: the number of the next chunk this reader gets."""

    position: int


class Output:
    def __init__(self, limit: int = MAX_BUFFER_BYTES) -> None:
        self._limit = limit
        self._chunks: deque[tuple[int, ProcessEvent]] = deque()
        self._first = 0  # the number of the oldest chunk held
        self._size = 0  # bytes held
        self._closed = False
        self._readers: set[Reader] = set()
        self._changed = asyncio.Event()

    @property
    def end(self) -> int:
        """The number the next chunk will have."""
        return self._first + len(self._chunks)

    @property
    def full(self) -> bool:
        """Whether the process has to wait for its slowest reader."""
        return self._size >= self._limit and bool(self._readers)

    async def put(self, event: ProcessEvent, size: int) -> None:
        """Add a chunk of that many bytes; waits while the ring is full and somebody reads."""
        await self._until(lambda: not self.full)
        self._chunks.append((size, event))
        self._size += size
        while self._size > self._limit and not self._readers:
            self._drop_oldest()
        self._notify()

    def close(self) -> None:
        """No more output will come."""
        self._closed = True
        self._notify()

    @contextlib.contextmanager
    def reader(self) -> Iterator[Reader]:
        """Read from what nobody has had yet or, beside another reader, from now on."""
        reader = Reader(self.end if self._readers else self._first)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            self._notify()

    async def next(self, reader: Reader) -> ProcessEvent | None:
        """The reader's next chunk, waiting for it, or None at the end. Only `taken` moves on."""
        await self._until(lambda: reader.position < self.end or self._closed)
        return self._chunks[reader.position - self._first][1] if reader.position < self.end else None

    def taken(self, reader: Reader) -> None:
        """The reader has had the chunk; what every reader has had is forgotten."""
        reader.position += 1
        while self._chunks and all(other.position > self._first for other in self._readers):
            self._drop_oldest()
        self._notify()

    def _drop_oldest(self) -> None:
        size, _ = self._chunks.popleft()
        self._size -= size
        self._first += 1

    async def _until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
