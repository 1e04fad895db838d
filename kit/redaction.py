"""Redaction: secrets are masked in every text that is stored, logged, shown or sent, as they are and encoded.

All forms are looked for at once (Aho-Corasick), so that a search takes as long as its text is, however many
secrets there are. Making the automata of the most that a project may have takes half a second of processor:
`RedactorCache` makes them once for the same values, in a thread.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Final

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from kit.secret_forms import MASK, secret_forms

MAX_SECRET_BYTES: Final = 64 * 1024
"""Of the secret values of a project in all, in UTF-8."""
MAX_SECRET_LINES: Final = 1_000
"""Of the secret values of a project in all."""
MAX_CACHED_BYTES: Final = 4_000_000
"""Of the forms of all projects in one cache: the automata take about 40 times as much memory."""
_AUTOMATON_BYTES: Final = 32_000
"""Of the forms in one automaton: while one is made nothing else runs in the process, some 20 ms."""


class TooManySecrets(ValueError):
    """More secret values than can be looked for; the message says how many there may be."""


def require_bounded(secrets: Collection[str]) -> None:
    """Raises `TooManySecrets`."""
    size = sum(len(secret.encode()) for secret in secrets)
    if size > MAX_SECRET_BYTES:
        raise TooManySecrets(
            f"all secret values together would have {size:,} bytes, and may have {MAX_SECRET_BYTES:,}: "
            "each is looked for in every output. Keep large ones in a store that the commands read from"
        )
    lines = sum(len(secret.splitlines()) for secret in secrets)
    if lines > MAX_SECRET_LINES:
        raise TooManySecrets(
            f"all secret values together would have {lines:,} lines, and may have {MAX_SECRET_LINES:,}: "
            "each is looked for in every output. Encode values of many lines in base64"
        )


class Redactor:
    """Replaces secrets, whole and encoded, by a mask; cheap when there is nothing to replace."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {form.encode() for form in secret_forms(secrets)}
        self._automata = [*map(_automaton, _partition_forms(sorted(found)))]
        self.longest_bytes = max(map(len, found), default=1)
        """Of what is looked for: two pieces of a text have to share so many."""
        self.total_bytes = sum(map(len, found))
        """Of all that is looked for."""

    def redact_text(self, text: str) -> str:
        if not self._automata:
            return text
        raw = text.encode(errors="surrogatepass")
        masked = self.redact_bytes(raw)
        return text if masked is raw else masked.decode(errors="surrogatepass")

    def redact_bytes(self, given: bytes) -> bytes:
        """The same for what may be text in UTF-8; the very object when it holds no secret."""
        found = sorted(span for automaton in self._automata for span in _spans(automaton, given))
        if not found:
            return given
        parts, end = [], 0
        for start, stop in found:
            if start >= end:  # else it overlaps with the one before, and they are masked as one
                parts += [given[end:start], MASK.encode()]
            end = max(end, stop)
        return b"".join([*parts, given[end:]])

    def redact_json(self, value: object) -> object:
        """The same JSON value with every string in it, keys included, redacted."""
        if isinstance(value, str):
            return self.redact_text(value)
        if isinstance(value, list | tuple):
            return [self.redact_json(item) for item in value]
        if isinstance(value, dict):
            return {self.redact_text(str(key)): self.redact_json(item) for key, item in value.items()}
        return value

    def is_in(self, given: bytes) -> bool:
        """Whether what may be text in UTF-8 holds a secret."""
        return any(automaton.find_matches_as_indexes(given) for automaton in self._automata)


class RedactorCache:
    """The redactors of many projects, each made once for its values; those not used for longest go first."""

    def __init__(self, most_bytes: int = MAX_CACHED_BYTES) -> None:
        """most_bytes: of the forms of all that are kept."""
        self._most_bytes = most_bytes
        self._made: OrderedDict[frozenset[str], asyncio.Task[Redactor]] = OrderedDict()
        self._total = 0

    async def get(self, secrets: Iterable[str]) -> Redactor:
        """The redactor of these values; who asks while it is made waits for the same one."""
        values = frozenset(secrets)
        if (making := self._made.get(values)) is None:
            making = asyncio.create_task(asyncio.to_thread(Redactor, values))
            self._made[values] = making
            making.add_done_callback(partial(self._count, values))
        self._made.move_to_end(values)
        return await asyncio.shield(making)

    def _count(self, values: frozenset[str], made: asyncio.Task[Redactor]) -> None:
        if made.cancelled() or made.exception() is not None:
            del self._made[values]
            return
        self._total += made.result().total_bytes
        for oldest, other in [*self._made.items()]:
            if self._total <= self._most_bytes:
                return
            if other.done() and oldest != values:
                self._total -= other.result().total_bytes
                del self._made[oldest]


def _automaton(share: list[bytes]) -> BytesAhoCorasick:
    return BytesAhoCorasick(share, MatchKind.LeftmostLongest, Implementation.NoncontiguousNFA)


def _partition_forms(found: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The forms, divided so that no automaton takes long to make."""
    share: list[bytes] = []
    size = 0
    for form in found:
        if share and size + len(form) > _AUTOMATON_BYTES:
            yield share
            share, size = [], 0
        share.append(form)
        size += len(form)
    if share:
        yield share


def _spans(automaton: BytesAhoCorasick, given: bytes) -> Iterator[tuple[int, int]]:
    return ((start, end) for _, start, end in automaton.find_matches_as_indexes(given))
