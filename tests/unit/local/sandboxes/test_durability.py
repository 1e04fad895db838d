"""What survives the server's end, and what must not."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from e2b import AsyncSandbox, SandboxQuery, SandboxState

from tests.support.sandbox_server import SandboxServer, run_sandbox_server, wait_until
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[SandboxServer]:
    """A server to stop; its data are in a directory closed to others, by a path too long for sockets."""
    locked = tmp_path / "only-for-its-user"
    locked.mkdir(mode=0o700)
    with run_sandbox_server(locked / ("x" * 100)) as server:
        yield server


def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_sandboxes_outlive_the_server_and_their_processes_do_not(
    own_server: SandboxServer, number: signal.Signals
) -> None:
    sandbox = await AsyncSandbox.create("base", metadata={"run": "7"}, envs={"A": "a"}, **own_server.options)
    paused = await AsyncSandbox.create("base", **own_server.options)
    await sandbox.files.write("kept", "yes")
    await sandbox.commands.run("setsid sleep 500 & sleep 500", background=True, timeout=0)
    await paused.files.write("kept", "too")
    await paused.pause()
    inside = own_server.descendants()
    assert len(inside) >= 8
    own_server.stop(number)
    wait_until(lambda: all_gone(inside), 3)

    own_server.start()
    found = await AsyncSandbox.list(
        query=SandboxQuery(metadata={"run": "7"}), **own_server.options
    ).next_items()
    assert [info.sandbox_id for info in found] == [sandbox.sandbox_id]
    assert await sandbox.files.read("kept") == "yes"
    assert await sandbox.commands.list() == []
    assert (await sandbox.commands.run("echo $A")).stdout == "a\n"
    assert (await paused.get_info()).state == SandboxState.PAUSED
    again = await AsyncSandbox.connect(paused.sandbox_id, **own_server.options)
    assert await again.files.read("kept") == "too"


async def test_a_directory_serves_one_server(own_server: SandboxServer) -> None:
    second = SandboxServer(own_server.data, own_server.port + 1)
    with pytest.raises(AssertionError, match="did not start"):
        second.start()
    assert second.process is not None
    assert second.process.wait(TEST_TIMEOUT_SECONDS) == 1


async def test_delete_takes_everything_and_follows_no_link(own_server: SandboxServer, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    sandbox = await AsyncSandbox.create("base", **own_server.options)
    await sandbox.commands.run(
        f"ln -s {outside} link; mkdir -p locked/in; touch locked/in/file; chmod 000 locked/in locked;"
        "python3 -c \"import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\""
    )
    directory = own_server.data / "sandboxes" / sandbox.sandbox_id
    assert (directory / "home" / "link").is_symlink()
    assert await sandbox.kill()
    assert not directory.exists()
    assert list((own_server.data / "trash").iterdir()) == []
    assert (outside / "precious").read_text() == "kept"


async def test_records_are_for_the_server_s_user_only(own_server: SandboxServer) -> None:
    sandbox = await AsyncSandbox.create("base", **own_server.options)
    directory = own_server.data / "sandboxes" / sandbox.sandbox_id
    assert os.stat(own_server.data).st_mode & 0o777 == 0o700
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert os.stat(directory / "record.json").st_mode & 0o777 == 0o600
