"""The outside of these tests: PostgreSQL, Temporal, a forge, sandboxes and a scripted model, as processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psycopg
from google.protobuf.duration_pb2 import Duration
from psycopg import sql
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from cli.deployment.migrate import upgrade
from kit.ids import new_id
from kit.temporal import SEARCH_ATTRIBUTES
from local.stack.parts import database_url
from local.stack.plan import Plan
from local.stack.process import ProcessIdentity
from local.stack.state import State
from local.stack.supervisor import Stack, make_plan
from tests.support import scenarios
from tests.support.forkserver import ForkServer, run_fork_server

TEMPLATE_DATABASE: Final = "template_of_the_sites"
_ENVIRONMENT: Final = ("PATH", "LANG", "TMPDIR")


@dataclass(frozen=True)
class Servers:
    """One set of processes, shared by all sites."""

    plan: Plan
    stack: Stack
    zygote: ForkServer

    @property
    def forge_data(self) -> Path:
        return self.plan.directory / "forge"

    @property
    def sandbox_data(self) -> Path:
        return self.plan.directory / "sandboxes"

    @property
    def temporal_address(self) -> str:
        return f"127.0.0.1:{self.plan.ports['temporal']}"

    def server(self, part: str) -> ProcessIdentity:
        """The process of a part."""
        return State.read(self.plan.directory).parts[part]

    async def restart(self, part: str, *, away: float) -> None:
        """Kill a part with -9, and start it again after so many seconds."""
        server = self.server(part)
        server.send(signal.SIGKILL)
        assert await server.ended(10)
        await asyncio.sleep(away)
        await self.stack.start()

    def database_url(self, name: str) -> str:
        return urlsplit(database_url(self.plan))._replace(path=f"/{name}").geturl()

    def environment(self, site: str) -> Mapping[str, str]:
        """The settings of a site: its own database, namespace and sandboxes, everything else shared."""
        own = {"TEMPORAL_NAMESPACE": site, "DATABASE_POOL_SIZE": "5"}
        return {**self.plan.application_environment(self.database_url(site)), **own}

    async def found(self, site: str) -> None:
        """Make the site's migrated database and its namespace."""
        await asyncio.gather(self.make_database(site), self.make_namespace(site))

    async def make_database(self, name: str) -> None:
        """A migrated database without rows."""
        async with await psycopg.AsyncConnection.connect(
            database_url(self.plan), autocommit=True
        ) as connection:
            await connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(TEMPLATE_DATABASE)
                )
            )
        async with await psycopg.AsyncConnection.connect(
            self.database_url(name), autocommit=True
        ) as connection:  # a copy has to become an installation of its own
            await connection.execute("UPDATE installation SET id = %s", [new_id("ins")])

    async def make_namespace(self, name: str) -> None:
        client = await Client.connect(self.temporal_address)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=name, workflow_execution_retention_period=Duration(seconds=86_400)
            )
        )
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(
                namespace=name, search_attributes={key.name: keyword for key in SEARCH_ATTRIBUTES}
            )
        )


@asynccontextmanager
async def run_servers(directory: Path) -> AsyncIterator[Servers]:
    """The parts, with every scenario that was registered, until the block ends."""
    written = scenarios.write(directory / "scenarios")
    inherited = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    plan = make_plan(directory, {}, inherited, (written,))
    stack = Stack(plan, None, lambda part, state, detail: None)
    async with run_fork_server() as started:
        try:
            await stack.start()
            yield await _create_template_database(Servers(plan, stack, started))
        finally:
            await stack.stop()


async def _create_template_database(parts: Servers) -> Servers:
    """The parts with a migrated database, of which every site gets a copy."""
    async with await psycopg.AsyncConnection.connect(database_url(parts.plan), autocommit=True) as connection:
        await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(TEMPLATE_DATABASE)))
    await asyncio.to_thread(upgrade, parts.database_url(TEMPLATE_DATABASE))
    return parts
