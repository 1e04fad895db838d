"""A worker killed with -9 while it sends: no delivery is lost, and no other endpoint waits for it."""

import asyncio
import time
from pathlib import Path

import pytest

from models.webhooks.delivery import DeliveryStatus
from tests.support.installation import open_installation
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.webhooks import open_webhook_project

pytestmark = pytest.mark.soak

SEAMS = ["webhook", "webhook-sent", "webhook-taken"]
"""Before an attempt, between the attempt and its record, and before the feed's place is committed."""
EVENTS = 5
OTHERS_WAIT = 25.0
"""Seconds: the engine takes back what another endpoint had at work on the killed worker after ten."""


@pytest.mark.parametrize("seam", SEAMS)
async def test_a_killed_worker_loses_no_delivery_and_delays_no_other_endpoint(
    parts: Servers, tmp_path: Path, seam: str
) -> None:
    async with (
        open_installation(parts, f"{seam}-killed", tmp_path / "site") as site,
        open_webhook_project(site) as hooks,
    ):
        struck, others = await hooks.endpoint("/struck"), [await hooks.endpoint(f"/{n}") for n in range(2)]
        site.set_trap(f"{seam}@{struck.id}")
        workers = [await site.start_worker() for _ in range(2)]
        for endpoint in (struck, *others):
            await hooks.wake(endpoint)
        ids = set(await hooks.happen(EVENTS))
        await site.sprung(f"{seam}@{struck.id}")
        sprung = time.monotonic()
        for number in range(2):
            await hooks.received(f"/{number}", EVENTS, OTHERS_WAIT - (time.monotonic() - sprung))
        ended = await asyncio.gather(*(worker.ended(0.1) for worker in workers))
        assert sorted(ended) == [False, True], "one was killed, the other goes on"

        async def every_event() -> set[str]:
            return {each.event["data"]["eventId"] for each in hooks.receiver.at("/struck")}

        # What the killed worker sent elsewhere without recording it is recorded by the next attempt.
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            for endpoint in (struck, *others):
                while set(await hooks.statuses(endpoint)) != {DeliveryStatus.delivered}:
                    await asyncio.sleep(0.1)
            while await every_event() != ids:
                await asyncio.sleep(0.1)
        rows = await hooks.deliveries(struck)
        assert len(rows) == EVENTS, "the feed was taken once"
        got = hooks.receiver.at("/struck")
        assert {each.id for each in got} == {row.id for row in rows}
        if seam == "webhook-sent":
            assert len(got) > EVENTS, "what was sent and not recorded comes again, under its id"
        for number, endpoint in enumerate(others):
            assert len(hooks.receiver.at(f"/{number}")) >= EVENTS
            assert await hooks.statuses(endpoint) == [DeliveryStatus.delivered] * EVENTS
