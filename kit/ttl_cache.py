"""Remembers for a moment what was just read, so that neighbours in time share one read."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TTLCache(Generic[K, V]):
    """Values of `most` in all, none used later than `seconds` after it was read.

    size: what a value counts for; without it, each is one.
    """

    def __init__(self, seconds: float, most: int = 1_000, size: Callable[[V], int] = lambda value: 1) -> None:
        self._seconds, self._max_size, self._size = seconds, most, size
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._total = 0

    async def get(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The value of `key`, read anew when what is remembered is too old; an error is not remembered."""
        found = self._values.get(key)
        if found is not None and time.monotonic() - found[0] < self._seconds:
            return found[1]
        began = time.monotonic()
        value = await read()
        self.forget(key)
        self._values[key] = (began, value)
        self._total += self._size(value)
        while self._total > self._max_size:
            self.forget(next(iter(self._values)))
        return value

    def forget(self, key: K) -> None:
        if (found := self._values.pop(key, None)) is not None:
            self._total -= self._size(found[1])
