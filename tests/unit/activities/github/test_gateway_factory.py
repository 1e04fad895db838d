"""What activities reach the outside with: waits, clients, and what their failures say."""

import asyncio
from dataclasses import replace
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.errors import to_application_error
from activities.gateway_factory import GatewayFactory
from gateways.anthropic.client import MessagesClient
from gateways.git.errors import WorkTreeDamaged
from gateways.github.access import Token
from kit.database import Database
from kit.errors import RepositoryNotAllowed
from kit.ids import new_id
from kit.settings import Settings
from models import AllowedRepository, Project
from models.projects.provider_key import Provider
from tests.conftest import ProjectKey, make_project
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from worker.interceptors import ActivityInterceptor


class Runs(ActivityInboundInterceptor):
    """The end of the chain of interceptors: the activity itself."""

    def __init__(self) -> None:
        """There is nothing behind it."""

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        return await input.fn()


async def test_a_wait_that_is_over_holds_nobody_up(settings: Settings, database: Database) -> None:
    """Even where it was read a moment ago: it is looked up once a second only."""
    outside, key = GatewayFactory(settings, database), new_id("key")
    assert await outside.current_back_off(key) is None
    await outside.back_off(key, 3, "429")
    first = await outside.current_back_off(key)
    assert first is not None
    await asyncio.sleep(0.2)
    second = await outside.current_back_off(key)
    assert second is not None
    assert second.seconds < first.seconds <= 3
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while await outside.current_back_off(key) is not None:
            await asyncio.sleep(0.1)


async def test_a_client_that_makes_room_is_closed_when_it_is_idle(
    settings: Settings, database: Database, project: ProjectKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activities.gateway_factory.MAX_MODEL_CLIENTS", 1)
    outside = GatewayFactory(settings, database)
    credentials = await outside.credentials(project.id)

    async def client(key: str) -> MessagesClient:
        return await outside.model_client(replace(credentials, keys={Provider.anthropic: key}))

    first = await client("sk-ant-first")
    assert await client("sk-ant-first") is first
    async with first._request():
        second = await client("sk-ant-second")
        assert not first._client.is_closed(), "its request is under way"
    assert first._client.is_closed()
    third = await client("sk-ant-third")
    assert second._client.is_closed()
    await third.close()


async def test_a_failure_says_nothing_of_the_secrets_of_its_project(
    settings: Settings, database: Database, project: ProjectKey
) -> None:
    """As what git says of a damaged clone may: the agent can write there what it likes."""
    outside = GatewayFactory(settings, database)
    secret = "s3cret-value-of-the-project"
    async with database.transaction() as session:
        row = await session.get_one(Project, project.id)
        row.env_vars = {"KEY": {"value": outside.vault.seal(secret), "isSecret": True}}
    environment = ActivityEnvironment()

    async def fail() -> None:
        await outside.credentials(project.id)
        raise WorkTreeDamaged(f"git failed: fatal: bad object {secret}")

    inbound = ActivityInterceptor(AsyncMock(), AsyncMock()).intercept_activity(Runs())

    async def intercepted() -> None:
        await inbound.execute_activity(Mock(fn=fail))

    with pytest.raises(ApplicationError) as failed:
        await environment.run(intercepted)
    assert secret not in str(failed.value)
    assert "fatal: bad object" in str(failed.value)


async def test_the_servers_token_is_handed_out_for_allowed_repositories_alone(
    settings: Settings, database: Database
) -> None:
    project = await make_project(database, repository="acme/shop")
    outside = GatewayFactory(settings.model_copy(update={"github_token": SecretStr("ghp_servers")}), database)
    credentials = await outside.credentials(project.id)
    assert await outside.github_token(credentials, "Acme/Shop") == Token("ghp_servers")
    with pytest.raises(RepositoryNotAllowed) as refused:
        await outside.remote(credentials, "acme/other")
    failure = to_application_error(refused.value)
    assert (failure.type, failure.non_retryable) == ("REPOSITORY_NOT_ALLOWED", True)
    assert f"codecourier projects allow {project.id} acme/other" in failure.message
    own = replace(credentials, keys={Provider.github: "ghp_own"})
    assert await outside.github_token(own, "acme/other") == Token("ghp_own")


async def test_a_repository_that_is_not_allowed_any_more_is_refused_at_once(
    settings: Settings, database: Database
) -> None:
    project = await make_project(database, repository="acme/*")
    outside = GatewayFactory(settings.model_copy(update={"github_token": SecretStr("ghp_servers")}), database)
    credentials = await outside.credentials(project.id)
    assert await outside.github(credentials, "acme/shop")
    async with database.transaction() as session:
        await session.delete(await session.get_one(AllowedRepository, (project.id, "acme/*")))
    with pytest.raises(RepositoryNotAllowed):
        await outside.github(credentials, "acme/shop")
