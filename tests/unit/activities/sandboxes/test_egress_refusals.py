"""Hosts that a sandbox asked for in vain are told once each, wherever the worker that tells is killed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Connection, event
from sqlmodel import col, select

from activities.gateway_factory import GatewayFactory
from activities.sandboxes.egress_refusals import append_refusals
from gateways.sandboxes.sandbox import SandboxHandle
from kit.database import Database
from kit.settings import Settings
from models import Event, Run, Sandbox
from models.event import EventType
from models.projects.egress import Egress, EgressMode
from tests.support.server_process import run_server
from tests.support.servers import E2B_API_KEY

ASK = "python3 -c \"import urllib.request as r; r.urlopen('http://{}/')\""


class Killed(BaseException):
    """The worker is gone: nothing of its own catches that."""


@contextmanager
def killed_before_the_commit(database: Database) -> Iterator[None]:
    """Whoever commits within the block is killed with the transaction still open."""

    def kill(_: Connection) -> None:
        raise Killed

    event.listen(database.engine.sync_engine, "commit", kill)
    try:
        with pytest.raises(Killed):
            yield
    finally:
        event.remove(database.engine.sync_engine, "commit", kill)


@pytest.fixture
async def outside(
    settings: Settings, database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[GatewayFactory]:
    """With a sandbox server of its own."""
    data: Path = tmp_path_factory.mktemp("sandboxes")
    with run_server("local.sandboxes", {"E2B_API_KEY": E2B_API_KEY}, "--data", str(data)) as url:
        reached = {"e2b_api_key": SecretStr(E2B_API_KEY), "e2b_api_url": url, "e2b_sandbox_url": url}
        yield GatewayFactory(settings.model_copy(update=reached), database)


async def refusals_of(database: Database, run: Run) -> list[tuple[int, object, object]]:
    """The run's events about refused hosts: sequence, host and count."""
    statement = select(Event).where(
        col(Event.subject_id) == run.id, col(Event.type) == EventType.egress_refused
    )
    async with database.read_only() as session:
        events = (await session.exec(statement.order_by(col(Event.seq)))).all()
    return [(each.seq, each.data["host"], each.data["count"]) for each in events]


async def ask(handle: SandboxHandle, *hosts: str) -> None:
    for host in hosts:
        asked = await handle.run(ASK.format(host), timeout_seconds=60)
        assert "403" in asked.stderr


async def test_refused_hosts_are_logged_once_though_a_worker_is_killed_before_the_commit(
    database: Database, run: Run, outside: GatewayFactory
) -> None:
    credentials = await outside.credentials(run.project_id)
    handle = await outside.sandboxes(credentials).ensure(
        {"job": run.id}, template="base", timeout_seconds=300, egress=Egress(EgressMode.off)
    )
    sandbox = Sandbox(
        project_id=run.project_id, job_id=run.id, name="n", template_id="base", timeout_ms=300_000
    )
    sandbox.mark_running(handle.id)
    async with database.transaction() as session:
        session.add(sandbox)
    await ask(handle, "evil.example", "evil.example", "other.example")
    with killed_before_the_commit(database):
        await append_refusals(database, outside, credentials, sandbox)
    assert await refusals_of(database, run) == []
    await append_refusals(database, outside, credentials, sandbox)
    expected = [(1, "evil.example", 2), (2, "other.example", 1)]
    assert await refusals_of(database, run) == expected
    await ask(handle, "evil.example", "third.example")
    await append_refusals(database, outside, credentials, sandbox)
    assert await refusals_of(database, run) == [*expected, (3, "third.example", 1)]
    await outside.sandboxes(credentials).kill_all({"job": run.id})
