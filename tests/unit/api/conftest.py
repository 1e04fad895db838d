"""The API over ASGI: one application for the session, one client for each test's project, a quiet engine."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from google.protobuf.duration_pb2 import Duration
from pydantic import SecretStr
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.admission import bind_namespace
from api.app import create_app
from kit.database import Database
from kit.settings import Settings
from kit.temporal import SEARCH_ATTRIBUTES, connect
from kit.token_bucket import Rate
from local.stack.ports import free_ports
from models import Run
from models.runs.run import PrStatus
from tests.conftest import ProjectKey, make_project
from tests.support.server_process import run_server
from tests.support.servers import FORGE_TOKEN, ServedDirectory
from tests.support.stub_workflows import run_stub_worker

NAMESPACE = "api-tests"
"""Of our own, so that no worker of another test picks up the runs that are started here."""
SHA = "a" * 40
"""The head of `run`'s pull request."""


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    """An application that has started."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        yield app


def client_of(app: FastAPI, project: ProjectKey | None = None) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://test/api/v1",
        headers=project.headers if project else {},
    )


@pytest.fixture(scope="session")
async def api_settings(settings: Settings, engine: Client, database: Database) -> Settings:
    """The session's settings, in a namespace of our own."""
    retention = Duration(seconds=int(timedelta(days=1).total_seconds()))
    request = RegisterNamespaceRequest(namespace=NAMESPACE, workflow_execution_retention_period=retention)
    await engine.workflow_service.register_namespace(request)
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    attributes = {attribute.name: keyword for attribute in SEARCH_ATTRIBUTES}
    add = AddSearchAttributesRequest(namespace=NAMESPACE, search_attributes=attributes)
    for _ in range(100):  # the namespace is known to every part of the server a moment later
        try:
            await engine.operator_service.add_search_attributes(add)
            break
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
    many = Rate(
        1_000_000, 60
    )  # laws are tried without a key on every operation, thousands of times in seconds
    own = settings.model_copy(update={"temporal_namespace": NAMESPACE, "rate_limit_per_address": many})
    await bind_namespace(database, await connect(own))  # as the first worker does
    return own


@pytest.fixture(scope="session")
async def app(api_settings: Settings) -> AsyncIterator[FastAPI]:
    async with running(api_settings) as app:
        yield app


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedDirectory]:
    data = tmp_path_factory.mktemp("forge")
    with run_server("local.forge", {"FORGE_TOKEN": FORGE_TOKEN}, "--data", str(data)) as url:
        yield ServedDirectory(url, data)


@pytest.fixture(scope="module")
async def forge_app(api_settings: Settings, forge: ServedDirectory) -> AsyncIterator[FastAPI]:
    """An application whose server's token is the forge's."""
    update = {
        "github_url": forge.url,
        "github_api_url": f"{forge.url}/api/v3",
        "github_token": SecretStr(FORGE_TOKEN),
    }
    async with running(api_settings.model_copy(update=update)) as app:
        yield app


@pytest.fixture
async def client(app: FastAPI, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app, project) as client:
        yield client


@pytest.fixture
async def stranger(app: FastAPI, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another project."""
    async with client_of(app, await make_project(database)) as client:
        yield client


@pytest.fixture
async def unplugged(api_settings: Settings, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API that cannot reach the engine."""
    settings = api_settings.model_copy(update={"temporal_address": f"127.0.0.1:{free_ports(1)[0]}"})
    async with running(settings) as app, client_of(app, project) as client:
        yield client


@pytest.fixture
async def worker(api_settings: Settings, database: Database) -> AsyncIterator[None]:
    """Runs are taken and obey commands, but do no work."""
    async with run_stub_worker(await connect(api_settings), database, api_settings):
        yield


@pytest.fixture
async def workflow(client: httpx.AsyncClient) -> str:
    """The id of a workflow."""
    created = await client.post("/workflows/create", json={"name": "Build and check"})
    return str(created.json()["data"]["id"])


@pytest.fixture
def run_body(workflow: str) -> dict[str, str]:
    """The body of a request that starts a run."""
    return {"workflowId": workflow, "prompt": "Do it", "githubRepoUrl": "https://github.com/org/repo"}


@pytest.fixture
async def run(client: httpx.AsyncClient, database: Database, run_body: dict[str, str]) -> Run:
    """A run with a pull request, in a repository of its own."""
    started = await client.post("/runs/start", json=run_body)
    assert started.status_code == 201, started.text
    async with database.transaction() as session:
        row = await session.get_one(Run, started.json()["data"]["id"], with_for_update=True)
        row.repository_slug, row.pr_number, row.pr_status = f"Org/{uuid4().hex}", 7, PrStatus.created
        row.head_sha, row.pr_url = SHA, "https://github.com/org/repo/pull/7"
        return row
