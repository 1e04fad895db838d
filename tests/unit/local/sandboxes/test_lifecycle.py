"""Creating, finding, pausing, extending and ending sandboxes through the real SDK."""

import asyncio
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest
from e2b import (
    ApiParams,
    AsyncSandbox,
    AuthenticationException,
    SandboxNotFoundException,
    SandboxQuery,
    SandboxState,
)
from e2b.exceptions import SandboxNotRunningException

from tests.support.sandbox_server import API_KEY, SandboxServer, wait_until
from tests.support.waiting import TEST_TIMEOUT_SECONDS


async def ids(server: SandboxServer, metadata: dict[str, str], *states: SandboxState) -> list[str]:
    """All sandboxes with this metadata, page by page."""
    query = SandboxQuery(metadata=metadata, state=list(states)) if states else SandboxQuery(metadata=metadata)
    paginator = AsyncSandbox.list(query=query, limit=2, **server.options)
    found = []
    while paginator.has_next:
        found += [info.sandbox_id for info in await paginator.next_items()]
    return found


async def test_a_sandbox_lives_from_creation_to_kill(server: SandboxServer) -> None:
    metadata = {"run": uuid4().hex, "title": "a/b c&d=ü%"}
    sandbox = await AsyncSandbox.create("base", timeout=60, metadata=metadata, **server.options)
    assert await sandbox.is_running()
    info = await sandbox.get_info()
    assert (info.sandbox_id, info.template_id, info.metadata) == (sandbox.sandbox_id, "base", metadata)
    assert 50 < (info.end_at - info.started_at).total_seconds() <= 61
    assert await sandbox.kill()
    assert not await sandbox.is_running()
    assert not await sandbox.kill()
    with pytest.raises(SandboxNotFoundException):
        await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)


async def test_the_list_finds_by_metadata_and_state_with_paused_ones(server: SandboxServer) -> None:
    metadata = {"run": uuid4().hex}
    sandboxes = await asyncio.gather(
        *(AsyncSandbox.create("base", metadata={**metadata, "n": str(n)}, **server.options) for n in range(3))
    )
    assert await sandboxes[0].pause()
    every = {sandbox.sandbox_id for sandbox in sandboxes}
    assert set(await ids(server, metadata)) == every
    assert await ids(server, metadata, SandboxState.PAUSED) == [sandboxes[0].sandbox_id]
    assert set(await ids(server, metadata, SandboxState.RUNNING)) == every - {sandboxes[0].sandbox_id}
    assert await ids(server, {**metadata, "n": "1"}) == [sandboxes[1].sandbox_id]
    assert await ids(server, {"run": "nobody's"}) == []
    await asyncio.gather(*(sandbox.kill() for sandbox in sandboxes))
    assert await ids(server, metadata) == []


async def test_a_paused_sandbox_is_away_and_its_processes_go_on_after_connect(
    server: SandboxServer, sandbox: AsyncSandbox
) -> None:
    count = "for i in $(seq 1000); do echo $i >> count; sleep 0.02; done"
    handle = await sandbox.commands.run(count, background=True, timeout=0)
    record = server.data / "sandboxes" / sandbox.sandbox_id / "home" / "count"
    wait_until(record.exists)
    assert await sandbox.pause()
    assert not await sandbox.pause()
    assert not await sandbox.is_running()
    with pytest.raises(SandboxNotRunningException):
        await sandbox.commands.run("true")
    before = record.read_text()
    await asyncio.sleep(0.2)
    assert record.read_text() == before
    again = await AsyncSandbox.connect(sandbox.sandbox_id, timeout=60, **server.options)
    assert [process.pid for process in await again.commands.list()] == [handle.pid]
    wait_until(lambda: len(record.read_text()) > len(before))


async def test_a_pause_without_memory_keeps_the_files_only(
    server: SandboxServer, sandbox: AsyncSandbox
) -> None:
    await sandbox.files.write("kept", "yes")
    await sandbox.commands.run("sleep 100", background=True, timeout=0)
    assert await sandbox.pause(keep_memory=False)
    again = await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)
    assert await again.commands.list() == []
    assert await again.files.read("kept") == "yes"


async def test_time_is_over_at_the_end_and_connect_only_extends(server: SandboxServer) -> None:
    sandbox = await AsyncSandbox.create("base", timeout=60, **server.options)
    await AsyncSandbox.connect(sandbox.sandbox_id, timeout=10, **server.options)
    assert 50 < await seconds_left(sandbox) <= 60
    await AsyncSandbox.connect(sandbox.sandbox_id, timeout=600, **server.options)
    assert 590 < await seconds_left(sandbox) <= 600
    await sandbox.set_timeout(0)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while await sandbox.is_running():
            await asyncio.sleep(0.05)
    with pytest.raises(SandboxNotFoundException):
        await sandbox.get_info()


async def test_auto_pause_pauses_when_time_is_over(server: SandboxServer) -> None:
    sandbox = await AsyncSandbox.create(
        "base", timeout=60, lifecycle={"on_timeout": "pause"}, **server.options
    )
    await sandbox.files.write("kept", "yes")
    await sandbox.set_timeout(0)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (await sandbox.get_info()).state != SandboxState.PAUSED:
            await asyncio.sleep(0.05)
    again = await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)
    assert await again.files.read("kept") == "yes"
    assert await again.kill()


async def test_one_idempotency_key_makes_one_sandbox(server: SandboxServer) -> None:
    key, metadata = uuid4().hex, {"run": uuid4().hex}
    sandboxes = await asyncio.gather(
        *(
            AsyncSandbox.create("base", metadata=metadata, idempotency_key=key, **server.options)
            for _ in range(3)
        )
    )
    assert await ids(server, metadata) == [sandboxes[0].sandbox_id]
    assert await sandboxes[0].kill()


async def test_a_wrong_key_is_refused_and_bad_requests_are_named(server: SandboxServer) -> None:
    with pytest.raises(AuthenticationException):
        await AsyncSandbox.create("base", **ApiParams(**{**server.options, "api_key": "e2b_wrong"}))
    async with httpx.AsyncClient(base_url=server.url, headers={"X-API-KEY": API_KEY}) as client:
        refused = await client.post("/v2/sandboxes", json={"templateID": "base", "timeout": -1})
        assert refused.status_code == 400
        assert "timeout" in refused.json()["message"]
        assert (await client.get("/sandboxes/unknown")).status_code == 404


async def test_a_request_without_the_access_token_is_refused(
    server: SandboxServer, sandbox: AsyncSandbox
) -> None:
    headers = {"E2b-Sandbox-Id": sandbox.sandbox_id, "X-Access-Token": "wrong"}
    async with httpx.AsyncClient(base_url=server.url, headers=headers) as client:
        assert (await client.get("/files", params={"path": "/etc/passwd"})).status_code == 401
        assert (await client.post("/process.Process/List", json={})).status_code == 401


async def test_many_sandboxes_at_once(server: SandboxServer) -> None:
    sandboxes = await asyncio.gather(
        *(AsyncSandbox.create("base", timeout=120, **server.options) for _ in range(20))
    )
    results = await asyncio.gather(*(sandbox.commands.run("echo $E2B_SANDBOX_ID") for sandbox in sandboxes))
    assert [result.stdout.strip() for result in results] == [sandbox.sandbox_id for sandbox in sandboxes]
    await asyncio.gather(*(sandbox.kill() for sandbox in sandboxes))


async def seconds_left(sandbox: AsyncSandbox) -> float:
    return ((await sandbox.get_info()).end_at - datetime.now(UTC)).total_seconds()
