"""A receiver that is away for three days, and one for ever, while the worker is replaced: time is skipped."""

import shutil
import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.webhooks.waking import WebhookInput, wake_endpoint
from models import WebhookDelivery, WebhookEndpoint
from models.notifications.notification import NotificationType
from models.webhooks.delivery import RETRY_DELAYS, DeliveryStatus
from tests.integration.issues.test_long_reviews import register, working
from tests.support.installation import open_installation, wait_until
from tests.support.stack import Servers
from tests.support.webhook_receiver import respond_with
from tests.support.webhooks import WebhookProject, open_webhook_project

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))
AWAY = [sum(RETRY_DELAYS[:count], timedelta()) for count in range(1, len(RETRY_DELAYS) + 1)]
"""When each attempt is made, counted from the event."""


async def look(client: Client, *endpoints: WebhookEndpoint) -> None:
    """Nobody dispatches here: the test wakes."""
    for endpoint in endpoints:
        await wake_endpoint(client, WebhookInput.of(endpoint))


async def have_been_tried(hooks: WebhookProject, endpoint: WebhookEndpoint, count: int, times: int) -> None:
    async def are_tried() -> bool:
        rows = await hooks.deliveries(endpoint)
        return len(rows) == count and all(row.attempt_count >= times for row in rows)

    await wait_until(are_tried, f"{count} deliveries to {endpoint.url} were tried {times} times")


def gaps(delivery: WebhookDelivery) -> list[float]:
    """Seconds from the first attempt to each."""
    moments = [datetime.fromisoformat(str(each["at"])) for each in delivery.attempts]
    return [(moment - moments[0]).total_seconds() for moment in moments]


async def skip_days(engine: WorkflowEnvironment, days: int) -> None:
    """A day at a time: the server answers a call only once all that fell due was done, within 30 seconds."""
    for _ in range(days):
        await engine.sleep(timedelta(days=1))


@pytest.mark.soak
async def test_receivers_away_for_three_days_and_for_ever(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SERVER is not None
    monkeypatch.setattr("worker.main.Worker", partial(Worker, max_cached_workflows=0))
    async with (
        open_installation(parts, "three-days", tmp_path / "site") as site,
        open_webhook_project(site) as hooks,
        await WorkflowEnvironment.start_time_skipping(
            test_server_existing_path=SERVER, data_converter=pydantic_data_converter
        ) as engine,
    ):
        await register(engine.client)
        hooks.receiver.behaviours = {"/away": respond_with(503), "/never": respond_with(500)}
        away, never, fine = [await hooks.endpoint(path) for path in ("/away", "/never", "/fine")]
        everybody = (away, never, fine)
        async with working(site, engine.client):
            await hooks.happen(1)
            await look(engine.client, *everybody)
            await engine.sleep(timedelta(minutes=1))
            await hooks.received("/fine", 1)
            await skip_days(engine, 2)
        async with working(site, engine.client):
            await skip_days(engine, 1)
            for endpoint in (away, never):
                await have_been_tried(hooks, endpoint, 1, 9)
                assert await hooks.statuses(endpoint) == [DeliveryStatus.pending]
                assert (await hooks.read(endpoint)).is_enabled
            await hooks.happen(1)
            hooks.receiver.behaviours.pop("/away")
            await look(engine.client, *everybody)
            await engine.sleep(timedelta(minutes=1))
            await hooks.received("/fine", 2)
            await engine.sleep(timedelta(hours=5))
            await have_been_tried(hooks, never, 2, 5)

            back = await hooks.deliveries(away)
            assert [row.status for row in back] == [DeliveryStatus.delivered] * 2
            assert (await hooks.read(away)).failing_since is None
            for row in back[:1]:
                assert row.attempt_count == len(RETRY_DELAYS)
                for gap, planned in zip(gaps(row), AWAY, strict=True):
                    assert abs(gap - planned.total_seconds()) < 120

            gone = await hooks.deliveries(never)
            assert [row.status for row in gone] == [DeliveryStatus.failed, DeliveryStatus.pending]
            assert gone[0].reason == "It was not received in 10 attempts."
            assert await hooks.notifications() == []
            await skip_days(engine, 2)

            async def is_given_up() -> bool:
                return not (await hooks.read(never)).is_enabled

            await wait_until(is_given_up, "it is disabled after five days of failures")
        assert await hooks.statuses(never) == [DeliveryStatus.failed, DeliveryStatus.skipped]
        [told] = await hooks.notifications()
        assert told.type is NotificationType.webhook_disabled
        assert (told.data["webhookEndpointId"], "five days" in told.body) == (never.id, True)
        assert len(hooks.receiver.at("/fine")) == 2
        assert await hooks.statuses(fine) == [DeliveryStatus.delivered] * 2
