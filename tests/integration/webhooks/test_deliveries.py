"""Webhooks on the real site: delivered or listed, whatever receivers do, and none waits for another."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from temporalio.client import WorkflowExecutionStatus

from activities.gateway_factory import GatewayFactory
from activities.reconcile.reports import SweepOrder
from activities.reconcile.start_sweep import StartSweepActivities
from activities.trash.project_deletion import ProjectDeletion
from activities.webhooks.deliveries import DeliveryAttempt, DueRequest, WebhookDeliveryActivities
from activities.webhooks.waking import find_endpoints_behind
from models import Project, WebhookDelivery, WebhookEndpoint
from models.base import now
from models.event import EventType
from models.notifications.notification import NotificationType
from models.webhooks.delivery import DeliveryStatus, skip_pending
from models.webhooks.feed import has_unsettled, settled_position
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.stack import Servers
from tests.support.webhook_receiver import Receiver, close_connection, never_answer, respond_with
from tests.support.webhooks import WebhookProject, open_webhook_project


@pytest.fixture(scope="module")
async def quick(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A site whose worker gives a receiver eight seconds."""
    async with open_installation(parts, "webhooks", tmp_path_factory.mktemp("webhooks") / "site") as site:
        await site.start_worker(WEBHOOK_TIMEOUT_SECONDS="8")
        yield site


@pytest.fixture
async def hooks(quick: Installation) -> AsyncIterator[WebhookProject]:
    async with open_webhook_project(quick) as hooks:
        yield hooks


async def fate(hooks: WebhookProject, endpoint: WebhookEndpoint) -> WorkflowExecutionStatus | None:
    return (await hooks.site.client.get_workflow_handle(endpoint.id).describe()).status


async def test_whatever_receivers_do_is_delivered_or_listed(hooks: WebhookProject) -> None:
    hooks.receiver.behaviours = {
        "/hang": never_answer,
        "/fail": respond_with(500, "sorry"),
        "/moved": respond_with(302, location="/ok"),
        "/busy": respond_with(503, retry_after="3600"),
        "/drop": close_connection,
        "/gone": respond_with(410),
    }
    bad = {path: await hooks.endpoint(path) for path in hooks.receiver.behaviours}
    fine = await hooks.endpoint("/ok", wanted="issue.*")
    other = await hooks.endpoint("/other", wanted="webhook.*")
    await hooks.happen(1)
    await hooks.received("/ok", 1)  # the worker is ready, and everybody has had one event

    async def is_gone() -> bool:
        return not (await hooks.read(bad["/gone"])).is_enabled

    await wait_until(is_gone, "its 410 is written down")  # until then more may be on their way to it
    began = time.monotonic()
    ids = await hooks.happen(5)
    got = await hooks.received("/ok", 6)
    print(f"five events were received after {time.monotonic() - began:.1f} s")
    for each in got:
        each.verify(hooks.secrets[fine.id])
    assert {each.event["data"]["eventId"] for each in got[1:]} == set(ids)
    assert len({each.id for each in got}) == 6
    event = got[1].event
    assert set(event) == {"type", "timestamp", "data"}
    assert set(event["data"]) == {"eventId", "projectId", "subjectId", "seq", "position", "data"}
    assert event["data"]["projectId"] == hooks.project.id

    expected = {
        "/hang": "There was no answer within 8 seconds.",
        "/fail": "The receiver answered 500.",
        "/moved": "The receiver redirects (302), which is not followed.",
        "/busy": "The receiver answered 503.",
        "/drop": "The connection failed (RemoteProtocolError).",
    }

    async def is_listed() -> bool:
        """Every event is a row of every endpoint, and each was tried twice at least, but the busy one's."""
        for path, endpoint in bad.items():
            rows = await hooks.deliveries(endpoint)
            tries = 1 if path in ("/busy", "/gone") else 2
            if len(rows) < (1 if path == "/gone" else 6) or (
                path != "/gone" and rows[0].attempt_count < tries
            ):
                return False
        return True

    await wait_until(is_listed, "every failure is listed")
    for path, error in expected.items():
        first, *_ = await hooks.deliveries(bad[path])
        assert (first.status, first.attempts[0]["error"]) == (DeliveryStatus.pending, error)
        assert (await hooks.read(bad[path])).failing_since is not None
    sorry = (await hooks.deliveries(bad["/fail"]))[0].attempts[0]
    assert (sorry["status"], sorry["responseExcerpt"]) == (500, "sorry")
    waits = (await hooks.deliveries(bad["/busy"]))[0].next_attempt_at
    assert waits is not None
    assert waits > now() + timedelta(minutes=50)

    gone = await hooks.read(bad["/gone"])
    assert (gone.is_enabled, len(hooks.receiver.at("/gone"))) == (False, 1)
    assert "410" in (gone.disabled_reason or "")
    [told] = await hooks.notifications()
    assert (told.type, told.data["webhookEndpointId"]) == (NotificationType.webhook_disabled, gone.id)
    assert (await hooks.deliveries(gone))[0].status is DeliveryStatus.failed
    [disabled] = await hooks.received("/other", 1)
    assert (disabled.event["type"], disabled.event["data"]["subjectId"]) == ("webhook.disabled", gone.id)
    assert await hooks.statuses(other) == [DeliveryStatus.delivered]
    assert len(hooks.receiver.at("/ok")) == 6


@pytest.mark.soak
async def test_a_burst_is_delivered_once_each(hooks: WebhookProject) -> None:
    endpoint = await hooks.endpoint("/ok", wanted="issue.*")
    ids = await hooks.happen(230) + await hooks.happen(5, EventType.pr_created) + await hooks.happen(230)
    got = await hooks.received("/ok", 460)
    assert {each.event["data"]["eventId"] for each in got} < set(ids)
    assert len({each.id for each in got}) == len(got) == 460

    async def are_recorded() -> bool:
        return await hooks.statuses(endpoint) == [DeliveryStatus.delivered] * 460

    await wait_until(are_recorded, "every delivery is recorded")


@pytest.mark.soak
async def test_a_flood_goes_on_in_a_new_history(hooks: WebhookProject) -> None:
    """Whatever is on its way when a history ends is neither lost nor sent twice."""
    endpoint = await hooks.endpoint("/ok", wanted="issue.*")
    for _ in range(8):
        await hooks.happen(200)
    got = await hooks.received("/ok", 1_600)
    assert len({each.id for each in got}) == len(got) == 1_600
    query = f"WorkflowId = '{endpoint.id}'"
    assert len([each async for each in hooks.site.client.list_workflows(query)]) > 1


async def test_a_rotated_secret_signs_beside_the_new_one(hooks: WebhookProject) -> None:
    endpoint = await hooks.endpoint("/ok")
    async with hooks.site.database.transaction() as session:
        (await session.get_one(WebhookEndpoint, endpoint.id)).rotate(
            hooks.vault.seal(new := "whsec_" + "a" * 32)
        )
    await hooks.happen(1)
    [got] = await hooks.received("/ok", 1)
    got.verify(hooks.secrets[endpoint.id])
    got.verify(new)
    assert len(got.headers["webhook-signature"].split(" ")) == 2


async def test_what_happens_while_it_is_disabled_is_listed_and_can_be_sent(hooks: WebhookProject) -> None:
    endpoint = await hooks.endpoint("/ok")
    await hooks.happen(1)
    await hooks.received("/ok", 1)
    async with hooks.site.database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint.id, with_for_update=True)
        row.disable("Tidying up.")
        await skip_pending(session, row, "Tidying up.")
    await hooks.wake(endpoint)

    async def has_ended() -> bool:
        return await fate(hooks, endpoint) is WorkflowExecutionStatus.COMPLETED

    await wait_until(has_ended, "its workflow ends")
    await hooks.happen(3)

    async def is_settled() -> bool:
        """Nobody's transaction holds up any more what has happened: all of it is before the present."""
        async with hooks.site.database.transaction() as session:
            return not await has_unsettled(session, hooks.project.id, await settled_position(session))

    await wait_until(is_settled, "what has happened is settled")
    assert endpoint.id not in {
        each.endpoint_id for each in await find_endpoints_behind(hooks.site.database, None)
    }
    async with hooks.site.database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint.id, with_for_update=True)
        row.enable(await settled_position(session))
    await hooks.happen(1)
    await hooks.received("/ok", 2)

    async def is_listed() -> bool:
        return len(await hooks.deliveries(endpoint)) == 5

    await wait_until(is_listed, "what it missed is listed")
    rows = await hooks.deliveries(endpoint)
    skipped = [row for row in rows if row.status is DeliveryStatus.skipped]
    assert len(skipped) == 3
    assert [row.attempts for row in skipped] == [[]] * 3
    async with hooks.site.database.transaction() as session:
        (await session.get_one(WebhookDelivery, skipped[0].id)).resend()
    await hooks.wake(endpoint)
    got = await hooks.received("/ok", 3)
    assert got[-1].id == skipped[0].id


async def test_a_lost_workflow_is_started_again_by_the_sweep(hooks: WebhookProject) -> None:
    hooks.receiver.behaviours = {"/ok": respond_with(500)}
    endpoint = await hooks.endpoint("/ok")
    await hooks.happen(1)
    await hooks.received("/ok", 1)
    await hooks.site.client.get_workflow_handle(endpoint.id).terminate("a test")
    async with hooks.site.database.transaction() as session:
        [row] = await hooks.deliveries(endpoint)
        (await session.get_one(WebhookDelivery, row.id)).next_attempt_at = now() - timedelta(minutes=1)
    hooks.receiver.behaviours = {}
    order = SweepOrder(installation=hooks.site.installation)
    await StartSweepActivities(hooks.site.database, hooks.site.client).wake_webhooks(
        order
    )  # or the worker's, if quicker
    await hooks.received("/ok", 2)
    assert await fate(hooks, endpoint) is WorkflowExecutionStatus.RUNNING


async def test_a_project_that_is_deleted_ends_its_webhooks(hooks: WebhookProject) -> None:
    endpoint, idle = await hooks.endpoint("/ok"), await hooks.endpoint("/idle", wanted="pr.*")
    await hooks.happen(1)
    await hooks.received("/ok", 1)
    site = hooks.site
    deletion = ProjectDeletion(site.database, site.client, GatewayFactory(site.settings, site.database))
    async with site.database.transaction() as session:
        (await session.get_one(Project, hooks.project.id)).delete()
    for _ in range(2):
        assert await deletion.end_project_webhooks(hooks.project.id) == 2

    async def has_ended() -> bool:
        return await fate(hooks, endpoint) in (
            WorkflowExecutionStatus.CANCELED,
            WorkflowExecutionStatus.COMPLETED,
        )

    await wait_until(has_ended, "its workflow ends")
    await hooks.happen(1, EventType.pr_created)
    behind = {each.endpoint_id for each in await find_endpoints_behind(hooks.site.database, None)}
    assert not behind & {endpoint.id, idle.id}


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_private_address_is_listed_and_never_called(hooks: WebhookProject, host: str) -> None:
    """As in production, where nothing private may be called."""
    site = hooks.site
    settings = site.settings.model_copy(update={"webhook_allow_private": False})
    webhooks = WebhookDeliveryActivities(site.database, settings, GatewayFactory(settings, site.database))
    endpoint = await hooks.endpoint("/ok", wanted="pr.*", host=host)
    async with site.database.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint.id)
        row.url = row.url.replace("http:", "https:")
        session.add(delivery := WebhookDelivery.ping(row))
        delivery.next_attempt_at = now() + timedelta(hours=1)  # nobody else sends it
    attempt = DeliveryAttempt(endpoint_id=endpoint.id, delivery_id=delivery.id, at=now())
    await webhooks.attempt_delivery(attempt)
    [listed] = await hooks.deliveries(endpoint)
    assert "public internet" in str(listed.attempts[0]["error"])
    assert (listed.status, listed.attempts[0]["status"]) == (DeliveryStatus.pending, None)
    assert hooks.receiver.got == []


async def test_an_attempt_that_is_carried_out_twice_is_recorded_once(hooks: WebhookProject) -> None:
    """Two executions of one activity at the same time, as after a heartbeat that came too late."""
    site = hooks.site
    webhooks = WebhookDeliveryActivities(
        site.database, site.settings, GatewayFactory(site.settings, site.database)
    )
    endpoint = await hooks.endpoint("/both", wanted="pr.*")
    both = asyncio.Barrier(2)

    async def answer_both(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        await both.wait()
        await respond_with(204)(receiver, writer)

    hooks.receiver.behaviours = {"/both": answer_both}
    async with site.database.transaction() as session:
        session.add(delivery := WebhookDelivery.ping(endpoint))
        delivery.next_attempt_at = now() + timedelta(hours=1)
    attempt = DeliveryAttempt(endpoint_id=endpoint.id, delivery_id=delivery.id, at=now())
    await asyncio.gather(webhooks.attempt_delivery(attempt), webhooks.attempt_delivery(attempt))
    await webhooks.attempt_delivery(attempt)  # would wait for ever if it were sent once more
    [row] = await hooks.deliveries(endpoint)
    assert (row.status, row.attempt_count, len(row.attempts)) == (DeliveryStatus.delivered, 1, 1)
    assert {each.id for each in hooks.receiver.got} == {row.id}
    assert len(hooks.receiver.got) == 2


async def test_a_look_that_is_repeated_makes_no_second_delivery(hooks: WebhookProject) -> None:
    site = hooks.site
    webhooks = WebhookDeliveryActivities(
        site.database, site.settings, GatewayFactory(site.settings, site.database)
    )
    endpoint = await hooks.endpoint("/idle")
    look = DueRequest(endpoint_id=endpoint.id, at=now(), sending=[])
    await hooks.happen(3)
    await asyncio.gather(*(webhooks.take_due_deliveries(look) for _ in range(4)))

    async def is_taken() -> bool:
        await webhooks.take_due_deliveries(look)
        return len(await hooks.deliveries(endpoint)) == 3

    await wait_until(is_taken, "all is taken once it is settled")
    assert (await webhooks.take_due_deliveries(look)).is_over is False
