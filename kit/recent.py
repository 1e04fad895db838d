"""Remembers for a moment what was just read, so that neighbours in time share one read."""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """At most `most` values, none used later than `seconds` after it was read."""

    def __init__(self, seconds: float, most: int = 1_000) -> None:
        self._seconds, self._most = seconds, most
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()

    async def get(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The value of `key`, read anew when what is remembered is too old; an error is not remembered."""
        found = self._values.get(key)
        if found is not None and time.monotonic() - found[0] < self._seconds:
            return found[1]
        began = time.monotonic()
        value = await read()
        self._values[key] = (began, value)
        self._values.move_to_end(key)
        while len(self._values) > self._most:
            self._values.popitem(last=False)
        return value

    def forget(self, key: K) -> None:
        self._values.pop(key, None)
