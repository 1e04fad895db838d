"""How many requests are answered: a token bucket for each key, one for each address, and streams by project.

A key's bucket is a row that all processes share. A process takes a hundredth of it at a time and spends that
without asking anybody, so most requests cost nothing, and what lies unused in a process is little. When the
row has nothing to give, the process does not ask again for a second: a flood costs it few writes.

Who shows no key that was seen to be valid is counted by address, in this process alone, and nothing is ever
written: public operations, requests without a key, and guesses, which are not even looked up any more.
"""

import asyncio
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address, ip_network
from time import monotonic
from typing import Final

from starlette.types import Scope

from kit.database import Database
from kit.errors import RateLimited
from kit.token_bucket import Bucket, Rate
from models.projects.rate_bucket import take_tokens

SHARES_PER_BUCKET: Final = 100
"""In how many parts a key's bucket is given to processes."""
EMPTY_BUCKET_PAUSE_SECONDS: Final = 1.0
"""How long a process does not ask a row again that had nothing."""
REFUSAL_DELAY_SECONDS: Final = 1.0
"""Until a request of an address that has had its share is refused."""
MAX_DELAYED: Final = 500
"""Requests of a process that are delayed at a time; of more, each is refused at once."""
MAX_BUCKETS: Final = 10_000
"""Keys, and addresses, that are counted at a time; of more, those unseen for longest begin anew."""
STREAM_SECONDS: Final = 10.0
"""When to try again to open a stream: nobody knows when another one ends."""
MAX_ADDRESS_CHARS: Final = 100

Streaming = Callable[[Scope], AbstractContextManager[None]]
"""Holds a place for a stream, for as long as it lasts; RateLimited without one."""


@dataclass(frozen=True, slots=True)
class LimitStatus:
    """How a client stands with one limit, in the words of `RateLimit-Policy` and `RateLimit`.

    They are those of draft-ietf-httpapi-ratelimit-headers-10: `r` is what is left, `t` the seconds until
    there is more.
    """

    policy: str
    state: str

    @classmethod
    def of(cls, name: str, rate: Rate, left: int, wait: float | None = None) -> "LimitStatus":
        """wait: seconds until there is more; unless given, those in which a token comes back."""
        seconds = _whole_seconds(rate.spacing if wait is None else wait)
        return cls(f'"{name}";q={rate.quota};w={rate.seconds}', f'"{name}";r={left};t={seconds}')


def headers_of(scope: Scope) -> list[tuple[bytes, bytes]]:
    """`RateLimit-Policy` and `RateLimit` of a request's answer; none where nothing limits it."""
    standings: dict[str, LimitStatus] = scope.get("rate_limits", {})
    if not standings:
        return []
    policies = ", ".join([standing.policy for standing in standings.values()])
    states = ", ".join([standing.state for standing in standings.values()])
    return [(b"ratelimit-policy", policies.encode()), (b"ratelimit", states.encode())]


def _note(scope: Scope, name: str, standing: LimitStatus) -> None:
    scope.setdefault("rate_limits", {})[name] = standing


def address_of(scope: Scope) -> str:
    """Who sent a request, as far as addresses tell: of IPv6 the /64, which is one client's as a rule."""
    client = scope.get("client")
    host = str(client[0]) if client else ""
    try:
        address = ip_address(host)
    except ValueError:  # a socket of the host itself, or what a trusted proxy said
        return host[:MAX_ADDRESS_CHARS]
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), 64), strict=False))


@dataclass(slots=True)
class _KeyShare:
    """What this process holds of one key's bucket."""

    tokens: int = 0
    expires_at: float = 0.0
    """When what was taken has come back to the row, and must not be spent a second time."""
    left: Bucket = field(default_factory=lambda: Bucket(0.0))
    """What the row had left when it was asked last: for telling, not for deciding."""
    refused_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """One asks the row at a time; what it is given is for all who wait."""

    def refill(self, at: float, rate: Rate, granted: int, left: int) -> None:
        """What the row granted, and what it has left."""
        self.tokens, self.expires_at = granted, at + rate.seconds
        self.left = Bucket(at + (rate.quota - left) * rate.spacing)

    def spend(self, at: float) -> bool:
        if self.tokens < 1 or at >= self.expires_at:
            return False
        self.tokens -= 1
        return True

    def status(self, at: float, rate: Rate) -> LimitStatus:
        return LimitStatus.of("key", rate, min(self.tokens + self.left.available(at, rate), rate.quota))


class RateLimits:
    """per_key, per_address, streams: None for no limit."""

    def __init__(
        self, database: Database, *, per_key: Rate | None, per_address: Rate | None, streams: int | None
    ) -> None:
        self._database = database
        self._per_key, self._per_address, self._max_streams = per_key, per_address, streams
        self._shares: OrderedDict[str, _KeyShare] = OrderedDict()
        self._addresses: OrderedDict[str, Bucket] = OrderedDict()
        self._streams: Counter[str] = Counter()
        """Open in this process, by project."""
        self._delayed = 0

    async def charge_key(self, scope: Scope, key_id: str) -> None:
        """Count a request to its key; RateLimited when that has had its share."""
        if (rate := self._per_key) is None:
            return
        share = self._shares.setdefault(key_id, _KeyShare())
        self._shares.move_to_end(key_id)
        if len(self._shares) > MAX_BUCKETS:
            self._shares.popitem(last=False)
        if not share.spend(monotonic()):
            async with share.lock:
                if not share.spend(monotonic()):
                    await self._renew(scope, share, key_id, rate)
        _note(scope, "key", share.status(monotonic(), rate))

    async def _renew(self, scope: Scope, share: _KeyShare, key_id: str, rate: Rate) -> None:
        """Take another part of the row, and spend the first token of it."""
        at = monotonic()
        if at >= share.refused_until:
            granted, left = await take_tokens(
                self._database, key_id, rate, max(rate.quota // SHARES_PER_BUCKET, 1)
            )
            share.refill(at, rate, granted, left)
            if share.spend(at):
                return
            share.refused_until = at + max(rate.spacing, EMPTY_BUCKET_PAUSE_SECONDS)
        wait = share.refused_until - at
        _note(scope, "key", LimitStatus.of("key", rate, 0, wait))
        raise _too_many("This key", rate, wait)

    async def charge_address(self, scope: Scope) -> None:
        """Count a request to its address; RateLimited, a second later, when that has had its share.

        The second keeps connections that guess without a pause from taking the process from everybody else.
        """
        if (rate := self._per_address) is None:
            return
        at, address = monotonic(), address_of(scope)
        bucket = self._addresses.setdefault(address, Bucket(at))
        self._addresses.move_to_end(address)
        if len(self._addresses) > MAX_BUCKETS:
            self._addresses.popitem(last=False)
        if not bucket.take(at, rate, 1):
            await self._delay_refusal()
            wait = bucket.seconds_until_available(monotonic(), rate)
            _note(scope, "address", LimitStatus.of("address", rate, 0, wait))
            raise _too_many("This address", rate, wait)
        _note(scope, "address", LimitStatus.of("address", rate, bucket.available(at, rate)))

    async def _delay_refusal(self) -> None:
        if self._delayed < MAX_DELAYED:
            self._delayed += 1
            try:
                await asyncio.sleep(REFUSAL_DELAY_SECONDS)
            finally:
                self._delayed -= 1

    def refund_address(self, scope: Scope) -> None:
        """It had a valid key after all, which is counted instead."""
        scope.get("rate_limits", {}).pop("address", None)
        bucket = self._addresses.get(address_of(scope))
        if bucket is not None and self._per_address is not None:
            bucket.give_back(self._per_address)

    def stream_slot(self, project_id: str) -> Streaming:
        """What holds a place of the project's for one stream."""

        @contextmanager
        def hold(scope: Scope) -> Iterator[None]:
            most = self._max_streams
            if most is not None and self._streams[project_id] >= most:
                policy = f'"streams";q={most};qu="concurrent-requests"'
                _note(scope, "streams", LimitStatus(policy, f'"streams";r=0;t={STREAM_SECONDS:.0f}'))
                raise RateLimited(
                    f"The project has {most} streams open here, which is as many as it may: close some.",
                    retry_after=STREAM_SECONDS,
                )
            self._streams[project_id] += 1
            try:
                yield
            finally:
                self._streams[project_id] -= 1
                if not self._streams[project_id]:
                    del self._streams[project_id]

        return hold


def _too_many(who: str, rate: Rate, wait: float) -> RateLimited:
    return RateLimited(f"{who} may make {rate} requests; please wait.", retry_after=_whole_seconds(wait))


def _whole_seconds(wait: float) -> int:
    """At least one; what sums of clocks have in excess does not count as another second."""
    return max(math.ceil(round(wait, 3)), 1)
