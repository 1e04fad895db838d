"""Turns and blocks, kept in the database for all processes."""

import asyncio
import heapq
import random
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

from kit.database import Database
from models import provider_rate_limit
from models.base import now
from models.provider_rate_limit import Slot


async def test_turns_are_spaced_however_many_ask_at_once(database: Database) -> None:
    key = uuid4().hex
    turns = await asyncio.gather(*(provider_rate_limit.acquire_slot(database, key, 2) for _ in range(8)))
    assert all(turn.is_reserved for turn in turns)
    waits = sorted(turn.seconds for turn in turns)
    assert waits[0] == 0
    assert all(1.5 < later - sooner < 2.1 for sooner, later in pairwise(waits))
    assert (await provider_rate_limit.acquire_slot(database, uuid4().hex, 2)).seconds == 0


async def test_an_idle_key_saves_up_nothing(database: Database) -> None:
    key = uuid4().hex
    async with database.transaction() as session:
        session.add(provider_rate_limit.Pacing(key=key, next_at=now() - timedelta(hours=1)))
    assert await provider_rate_limit.acquire_slot(database, key, 60) == Slot(0, is_reserved=True)
    turn = await provider_rate_limit.acquire_slot(database, key, 60)
    assert (50 < turn.seconds <= 60, turn.is_reserved) == (True, False)


def test_a_thousand_who_ask_at_once_are_served_at_the_pace_of_the_provider() -> None:
    """By arithmetic: each comes again when it was told to, up to a tenth later, as workflows do.

    Nobody holds a worker for long, no slot is lost, and nobody has to ask more than a few times.
    """
    chance, spacing, count = random.Random(11), timedelta(seconds=1), 1_000
    began = now()
    row = provider_rate_limit.Pacing(key="k", next_at=began)
    asking = [(0.0, place) for place in range(count)]
    asked, slots = Counter[int](), []
    while asking:
        at, place = heapq.heappop(asking)
        asked[place] += 1
        turn = row.take_slot(began + timedelta(seconds=at), spacing)
        if turn.is_reserved:
            assert turn.seconds <= 20
            slots.append(at + turn.seconds)
        else:
            heapq.heappush(asking, (at + turn.seconds * (1 + 0.1 * chance.random()), place))
    assert len(slots) == count
    assert all(later - sooner >= 0.999 for sooner, later in pairwise(sorted(slots)))
    assert max(slots) < 1.2 * count
    assert max(asked.values()) <= 4
    assert sum(asked.values()) < 3 * count


def test_those_who_gave_up_cost_nobody_a_slot() -> None:
    began = now()
    row = provider_rate_limit.Pacing(key="k", next_at=began)
    for _ in range(500):
        row.take_slot(began, timedelta(seconds=1))
    assert row.next_at <= began + timedelta(seconds=21)
    assert row.take_slot(began + timedelta(seconds=30), timedelta(seconds=1)) == Slot(0, is_reserved=True)


async def test_a_block_is_never_shortened_and_turns_come_after_it(database: Database) -> None:
    key = uuid4().hex
    assert await provider_rate_limit.current_back_off(database, key) is None
    await provider_rate_limit.back_off(database, key, 60, "the first")
    await provider_rate_limit.back_off(database, key, 10, "a shorter one")
    block = await provider_rate_limit.current_back_off(database, key)
    assert block is not None
    assert (50 < block.seconds <= 60, block.reason) == (True, "the first")
    await provider_rate_limit.back_off(database, key, 90, "a longer one")
    block = await provider_rate_limit.current_back_off(database, key)
    assert block is not None
    assert (80 < block.seconds <= 90, block.reason) == (True, "a longer one")
    turns = [await provider_rate_limit.acquire_slot(database, key, 1.0) for _ in range(2)]
    assert not any(turn.is_reserved for turn in turns)
    assert 80 < turns[0].seconds <= 90
    assert turns[0].seconds < turns[1].seconds <= 91


async def test_a_block_ends(database: Database) -> None:
    key = uuid4().hex
    await provider_rate_limit.acquire_slot(database, key, 0)
    await provider_rate_limit.back_off(database, key, 0.2, "short")
    await asyncio.sleep(0.3)
    assert await provider_rate_limit.current_back_off(database, key) is None
    assert await provider_rate_limit.acquire_slot(database, key, 0) == Slot(0, is_reserved=True)


def test_fingerprints_tell_credentials_apart_and_hide_them() -> None:
    first, second = (provider_rate_limit.credential_key("github", f"ghp_secret_{n}") for n in range(2))
    assert first != second
    assert first == provider_rate_limit.credential_key("github", "ghp_secret_0")
    assert "secret" not in first
