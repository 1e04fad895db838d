"""What tests let go wrong with a sandbox looks to the SDK as it does on E2B."""

import httpx
import pytest
from e2b import AsyncSandbox
from e2b.exceptions import (
    SandboxNotFoundException,
    SandboxNotRunningException,
    SandboxUnreachableException,
)

from tests.support.sandbox_faults import SandboxFaults
from tests.support.sandbox_server import API_KEY, SandboxServer


@pytest.fixture
def faults(server: SandboxServer) -> SandboxFaults:
    return SandboxFaults(server.url, API_KEY)


async def test_a_partial_resume_brings_back_earlier_files_and_no_process(
    server: SandboxServer, sandbox: AsyncSandbox, faults: SandboxFaults
) -> None:
    await sandbox.files.write("early", "kept")
    await faults.lay(sandbox.sandbox_id, forgets=True)
    await sandbox.files.write("late", "lost")
    await sandbox.commands.run("sleep 500", background=True, timeout=0)
    await sandbox.pause()
    again = await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)
    assert [entry.name for entry in await again.files.list(".")] == ["early"]
    assert await again.commands.list() == []
    await again.files.write("late", "kept")
    await again.pause()
    again = await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)
    assert await again.files.read("late") == "kept"


async def test_the_control_plane_may_not_know_a_sandbox_for_a_while(
    server: SandboxServer, sandbox: AsyncSandbox, faults: SandboxFaults
) -> None:
    await faults.lay(sandbox.sandbox_id, unknownLookups=2)
    with pytest.raises(SandboxNotFoundException):
        await AsyncSandbox.connect(sandbox.sandbox_id, **server.options)
    with pytest.raises(SandboxNotFoundException):
        await sandbox.get_info()
    assert (await sandbox.get_info()).sandbox_id == sandbox.sandbox_id


async def test_an_unreachable_sandbox_cuts_its_streams_and_goes_on(
    sandbox: AsyncSandbox, faults: SandboxFaults
) -> None:
    command = await sandbox.commands.run("sleep 1; touch late; sleep 60", background=True, timeout=0)
    await faults.lay(sandbox.sandbox_id, unreachableSeconds=1.5)
    with pytest.raises(SandboxUnreachableException):
        await command.wait()
    with pytest.raises(SandboxUnreachableException):
        await sandbox.files.exists("late")
    await faults.lay(sandbox.sandbox_id)
    while not await sandbox.files.exists("late"):
        pass


async def test_what_is_slow_to_die_is_forgotten_before_it_is_dead(
    server: SandboxServer, faults: SandboxFaults
) -> None:
    sandbox = await AsyncSandbox.create("base", timeout=120, **server.options)
    await faults.lay(sandbox.sandbox_id, diesInSeconds=1)
    with pytest.raises(SandboxNotFoundException):
        await sandbox.get_info()
    with pytest.raises(SandboxNotRunningException):
        await _never(sandbox, ".")
    assert not await sandbox.kill()


async def test_faults_have_names(server: SandboxServer, sandbox: AsyncSandbox, faults: SandboxFaults) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        await faults.lay(sandbox.sandbox_id, explodes=True)
    with pytest.raises(httpx.HTTPStatusError, match="404"):
        await faults.lay("inobody", forgets=True)


async def _never(sandbox: AsyncSandbox, path: str) -> None:
    """Wait until a path is no longer there."""
    while await sandbox.files.exists(path):
        pass
