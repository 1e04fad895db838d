"""One attempt of a delivery, while its endpoint changes and its project's keys cannot be read."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet

from activities.gateway_factory import GatewayFactory
from activities.webhooks.deliveries import DeliveryAttempt, WebhookDeliveryActivities
from kit.crypto import Vault
from kit.database import Database
from kit.errors import Internal
from kit.settings import Settings
from models import ProviderKey, WebhookDelivery, WebhookEndpoint
from models.base import now
from models.projects.provider_key import Provider
from models.webhooks.delivery import DeliveryStatus
from models.webhooks.endpoint import new_secret
from tests.conftest import ProjectKey
from tests.support.webhook_receiver import Receiver, respond_with, run_receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with run_receiver() as receiver:
        yield receiver


@pytest.fixture
def webhooks(database: Database, settings: Settings) -> WebhookDeliveryActivities:
    private = settings.model_copy(update={"webhook_allow_private": True})
    return WebhookDeliveryActivities(database, private, GatewayFactory(private, database))


async def a_ping(
    database: Database, webhooks: WebhookDeliveryActivities, project: ProjectKey, url: str
) -> DeliveryAttempt:
    endpoint = WebhookEndpoint(
        project_id=project.id,
        url=url,
        secret=webhooks.outside.vault.seal(new_secret()),
        xact_id=0,
        position=0,
    )
    delivery = WebhookDelivery.ping(endpoint)
    async with database.transaction() as session:
        session.add(endpoint)
        await session.flush()
        session.add(delivery)
    return DeliveryAttempt(endpoint_id=endpoint.id, delivery_id=delivery.id, at=now())


async def test_what_an_old_address_answers_says_nothing_of_the_new_one(
    database: Database, webhooks: WebhookDeliveryActivities, project: ProjectKey, receiver: Receiver
) -> None:
    """An endpoint is moved because the old address is gone, while a delivery is on its way there."""
    attempt = await a_ping(database, webhooks, project, receiver.url("/old"))

    async def move(receiver: Receiver, writer: asyncio.StreamWriter) -> None:
        async with database.transaction() as session:
            (await session.get_one(WebhookEndpoint, attempt.endpoint_id)).url = receiver.url("/new")
        await respond_with(410)(receiver, writer)

    receiver.behaviours = {"/old": move}
    await webhooks.attempt_delivery(attempt)
    async with database.transaction() as session:
        endpoint = await session.get_one(WebhookEndpoint, attempt.endpoint_id)
        delivery = await session.get_one(WebhookDelivery, attempt.delivery_id)
    assert (endpoint.is_enabled, endpoint.failing_since) == (True, None)
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.pending, 1)
    assert delivery.next_attempt_at == attempt.at + timedelta(seconds=5)
    await webhooks.attempt_delivery(attempt)
    assert len(receiver.at("/new")) == 1


async def test_nothing_is_sent_that_could_not_be_recorded(
    database: Database, webhooks: WebhookDeliveryActivities, project: ProjectKey, receiver: Receiver
) -> None:
    """An answer is masked with the project's keys: when they cannot be opened, that is known before."""
    attempt = await a_ping(database, webhooks, project, receiver.url())
    lost = Vault(Fernet.generate_key().decode()).seal("a key")
    async with database.transaction() as session:
        session.add(ProviderKey(project_id=project.id, provider=Provider.openai, sealed=lost, last_four=""))
    with pytest.raises(Internal):
        await webhooks.attempt_delivery(attempt)
    assert receiver.got == []
