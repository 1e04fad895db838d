"""A provider's wait is known to everybody at once, and forgotten when it is over."""

import asyncio

from activities.outside import Outside
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings


async def test_a_wait_that_is_over_holds_nobody_up(settings: Settings, database: Database) -> None:
    """Even where it was read a moment ago: it is looked up once a second only."""
    outside, key = Outside(settings, database), new_id("key")
    assert await outside.blocked(key) is None
    await outside.block(key, 0.5, "429")
    first = await outside.blocked(key)
    assert first is not None
    await asyncio.sleep(0.2)
    second = await outside.blocked(key)
    assert second is not None
    assert second.seconds < first.seconds <= 0.5
    await asyncio.sleep(0.4)
    assert await outside.blocked(key) is None
