"""A project with webhooks: a receiver, endpoints that lead to it, and events that happen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlmodel import col

from activities.webhooks.waking import WebhookInput, wake_endpoint
from kit.crypto import Vault
from models import Issue, Notification, Project, WebhookDelivery, WebhookEndpoint
from models.event import EventType, append_event
from models.webhooks.delivery import DeliveryStatus
from models.webhooks.endpoint import new_secret
from models.webhooks.feed import settled_position
from tests.support.installation import Installation, wait_until
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.support.webhook_receiver import Received, Receiver, run_receiver


@dataclass
class WebhookProject:
    site: Installation
    project: Project
    issue_id: str
    receiver: Receiver
    secrets: dict[str, str] = field(default_factory=dict)
    """By the endpoint's id."""

    @property
    def vault(self) -> Vault:
        return Vault(self.site.settings.encryption_keys.get_secret_value())

    async def endpoint(self, path: str, *, wanted: str = "*", host: str = "127.0.0.1") -> WebhookEndpoint:
        """A new endpoint, as the API leaves it before it wakes its workflow."""
        secret = new_secret()
        async with self.site.database.transaction() as session:
            place = await settled_position(session)
            endpoint = WebhookEndpoint(
                project_id=self.project.id,
                url=self.receiver.url(path, host),
                events=[wanted],
                secret=self.vault.seal(secret),
                xact_id=place.xact_id,
                position=place.position,
            )
            session.add(endpoint)
        self.secrets[endpoint.id] = secret
        return endpoint

    async def wake(self, endpoint: WebhookEndpoint) -> None:
        await wake_endpoint(self.site.client, WebhookInput.of(endpoint))

    async def happen(self, count: int, kind: EventType = EventType.issue_running) -> list[str]:
        """Events, in one transaction; their ids."""
        async with self.site.database.transaction() as session:
            issue = await session.get_one(Issue, self.issue_id, with_for_update=True)
            return [append_event(session, issue, kind, {"place": place}).id for place in range(count)]

    async def read(self, endpoint: WebhookEndpoint) -> WebhookEndpoint:
        of_id = col(WebhookEndpoint.id) == endpoint.id
        [row] = await self.site.rows(WebhookEndpoint, of_id, col(WebhookEndpoint.id))
        return row

    async def deliveries(self, endpoint: WebhookEndpoint) -> list[WebhookDelivery]:
        of_endpoint = col(WebhookDelivery.endpoint_id) == endpoint.id
        return await self.site.rows(WebhookDelivery, of_endpoint, col(WebhookDelivery.id))

    async def statuses(self, endpoint: WebhookEndpoint) -> list[DeliveryStatus]:
        return [each.status for each in await self.deliveries(endpoint)]

    async def notifications(self) -> list[Notification]:
        of_project = col(Notification.project_id) == self.project.id
        return await self.site.rows(Notification, of_project, col(Notification.id))

    async def received(self, path: str, count: int, patience: float = TEST_TIMEOUT_SECONDS) -> list[Received]:
        """What came in, once there are so many."""

        async def came() -> bool:
            return len(self.receiver.at(path)) >= count

        await wait_until(came, f"{count} deliveries to {path}", patience)
        return self.receiver.at(path)


@asynccontextmanager
async def open_webhook_project(site: Installation, port: int = 0) -> AsyncIterator[WebhookProject]:
    """A project of the site with a receiver."""
    project = await site.project()
    issue = Issue(project_id=project.id, title="Something to happen to")
    await site.add(issue)
    async with run_receiver(port) as receiver:
        yield WebhookProject(site, project, issue.id, receiver)
