"""Turns and blocks, kept in the database for all processes."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from uuid import uuid4

from kit import pacing
from kit.database import Database
from models.base import now


async def test_turns_are_spaced_however_many_ask_at_once(database: Database) -> None:
    key = uuid4().hex
    waits = sorted(await asyncio.gather(*(pacing.reserve(database, key, 60) for _ in range(8))))
    assert waits[0] == 0
    assert all(50 < later - sooner < 61 for sooner, later in pairwise(waits))
    assert await pacing.reserve(database, uuid4().hex, 60) == 0


async def test_an_idle_key_saves_up_nothing(database: Database) -> None:
    key = uuid4().hex
    async with database.transaction() as session:
        session.add(pacing.Pacing(key=key, next_at=now() - timedelta(hours=1)))
    assert await pacing.reserve(database, key, 60) == 0
    assert await pacing.reserve(database, key, 60) > 50


async def test_a_block_is_never_shortened_and_turns_come_after_it(database: Database) -> None:
    key = uuid4().hex
    assert await pacing.blocked(database, key) is None
    await pacing.block(database, key, 60, "the first")
    await pacing.block(database, key, 10, "a shorter one")
    block = await pacing.blocked(database, key)
    assert block is not None
    assert (59 < block.seconds <= 60, block.reason) == (True, "the first")
    await pacing.block(database, key, 90, "a longer one")
    block = await pacing.blocked(database, key)
    assert block is not None
    assert (89 < block.seconds <= 90, block.reason) == (True, "a longer one")
    assert 88 < await pacing.reserve(database, key, 1.0) <= 90
    assert 89 < await pacing.reserve(database, key, 1.0) <= 91


async def test_a_block_ends(database: Database) -> None:
    key = uuid4().hex
    await pacing.reserve(database, key, 0)
    await pacing.block(database, key, 0.2, "short")
    await asyncio.sleep(0.3)
    assert await pacing.blocked(database, key) is None
    assert await pacing.reserve(database, key, 0) == 0


def test_fingerprints_tell_credentials_apart_and_hide_them() -> None:
    first, second = (pacing.fingerprint("github", f"ghp_secret_{n}") for n in range(2))
    assert first != second
    assert first == pacing.fingerprint("github", "ghp_secret_0")
    assert "secret" not in first
