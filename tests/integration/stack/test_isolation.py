"""What an agent at work can reach: tried from inside the sandbox of a run, on a whole stack."""

import base64
import io
import json
import socket
import sys
import tarfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import cast

import pytest
from e2b import ApiParams, AsyncSandbox, CommandResult, SandboxQuery
from e2b.sandbox.commands.command_handle import CommandExitException

from local.stack.ports import LOOPBACK
from local.stack.state import State
from tests.support.checkout import ROOT
from tests.support.detached_stack import DetachedStack

PRIVATE = ("postgres", "temporal", "temporal_ui", "api", "sandboxes", "model")
THIS_HOST = (LOOPBACK, "localhost", "localhost.", "127.1", "2130706433", "0.0.0.0", "::1", "::ffff:127.0.0.1")
METADATA = ("169.254.169.254", "2852039166", "0xa9fea9fe", "::ffff:169.254.169.254", "fd00:ec2::254")
REFUSALS = {403, 502}
"""502: a name that this host cannot resolve; an address is never answered with it."""
Probed = dict[str, dict[str, str | int]]

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def options(stack: DetachedStack) -> ApiParams:
    key = (stack.directory / "keys" / "e2b_api_key").read_text()
    url = stack.file.sandbox_url
    return ApiParams(api_key=key, api_url=url, sandbox_url=url, retries=0)


@pytest.fixture(scope="module")
async def sandbox(stack: DetachedStack, options: ApiParams) -> AsyncIterator[AsyncSandbox]:
    """The sandbox of a run that is held: its repository is cloned, its agent has begun."""
    run_id = stack.start_run("Add a dark mode toggle")
    stack.post(f"runs/{run_id}/pause", {})
    stack.until(run_id, "repository.cloned", "run.paused")
    listed = AsyncSandbox.list(query=SandboxQuery(metadata={"job": run_id}), **options)
    (info,) = await listed.next_items()
    sandbox = await AsyncSandbox.connect(info.sandbox_id, timeout=300, **options)
    await sandbox.files.write("/tmp/probe.py", Path(__file__).with_name("probe.py").read_text())
    yield sandbox
    stack.post(f"runs/{run_id}/cancel", {})
    assert stack.ended(run_id)["status"] == "cancelled"


@pytest.mark.parametrize("part", PRIVATE)
async def test_a_private_port_is_out_of_reach(stack: DetachedStack, sandbox: AsyncSandbox, part: str) -> None:
    port = State.read(stack.directory).ports[part]
    socket.create_connection((LOOPBACK, port), 2).close()  # it is there
    tried = await _probe(sandbox, port, *THIS_HOST, socket.gethostname(), _address())
    assert {address: ways for address, ways in tried.items() if not _is_refused(ways)} == {}


async def test_the_metadata_service_is_out_of_reach(sandbox: AsyncSandbox) -> None:
    for ways in (await _probe(sandbox, 80, *METADATA)).values():
        assert ways.pop("direct") != "connected"
        assert ways == {"connect": 403, "get": 403}


async def test_the_forge_is_in_reach(stack: DetachedStack, sandbox: AsyncSandbox) -> None:
    tried = await _probe(sandbox, State.read(stack.directory).ports["forge"], LOOPBACK)
    assert (tried[LOOPBACK]["direct"], tried[LOOPBACK]["connect"]) == ("connected", 200)


async def test_the_forge_gives_nothing_without_the_token(stack: DetachedStack, sandbox: AsyncSandbox) -> None:
    forge = stack.file.forge_url
    clone = f"git clone {forge}/org/repo /tmp/clone"
    refused = await _run(sandbox, clone, GIT_TERMINAL_PROMPT="0")
    assert refused.exit_code == 128
    assert f"could not read Username for '{forge}'" in refused.stderr
    wrong = await _run(sandbox, clone.replace("://", "://x-access-token:wrong@"), GIT_TERMINAL_PROMPT="0")
    assert (wrong.exit_code, "Authentication failed" in wrong.stderr) == (128, True)
    push = await _run(sandbox, "git push origin HEAD:refs/heads/mine", "repo", GIT_TERMINAL_PROMPT="0")
    assert push.exit_code == 128
    header = f"AUTHORIZATION: basic {_basic(stack.file.forge_token)}"
    given = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "http.extraHeader", "GIT_CONFIG_VALUE_0": header}
    assert (await _run(sandbox, clone, **given)).exit_code == 0, "it is the token that was missing"


async def test_no_secret_of_the_stack_is_in_a_file_or_an_environment(
    stack: DetachedStack, sandbox: AsyncSandbox
) -> None:
    pack = "tar --ignore-failed-read -cf all.tar /home /run /etc /opt 2>/dev/null; true"
    await _run(sandbox, pack, "/dev/shm")
    with tarfile.open(
        fileobj=io.BytesIO(await sandbox.files.read("/dev/shm/all.tar", format="bytes"))
    ) as tar:
        files = {member.name: tar.extractfile(member) for member in tar if member.isfile()}
        seen = b"".join(file.read() for file in files.values() if file is not None)
    assert b"def greeting" in seen
    assert any(name.endswith("home/user/repo/.git/config") for name in files)
    processes = await _run(
        sandbox, "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '"
    )
    assert "HTTP_PROXY=" in processes.stdout
    seen += processes.stdout.encode()
    secrets = {path.name: path.read_text().strip() for path in (stack.directory / "keys").iterdir()}
    secrets["database"] = stack.file.database_url.split(":")[2].split("@")[0]
    secrets["basic"] = _basic(stack.file.forge_token)
    assert {"forge_token", "e2b_api_key", "anthropic_api_key", "encryption_keys", "api_key"} <= secrets.keys()
    assert [name for name, secret in secrets.items() if secret.encode() in seen] == []


@pytest.mark.parametrize(
    "path", ["DATA", "DATA/stack.json", "DATA/keys", "DATA/postgres", "DATA/sandboxes", "CHECKOUT"]
)
async def test_the_stack_s_own_files_are_out_of_sight(
    stack: DetachedStack, sandbox: AsyncSandbox, path: str
) -> None:
    checkout = ROOT / "pyproject.toml"
    there = Path(path.replace("DATA", str(stack.directory)).replace("CHECKOUT", str(checkout)))
    assert there.exists()
    assert (await _run(sandbox, f"ls -d {there}")).exit_code == 2
    assert not await sandbox.files.exists(str(there))


@pytest.mark.parametrize("path", ["/etc/shadow", "/root", "/proc/1/root/root", "/boot", "/srv", "/var/log"])
async def test_the_host_s_files_are_out_of_sight(sandbox: AsyncSandbox, path: str) -> None:
    interpreter = Path(sys.executable).resolve().parents[1]  # it is lent to the sandbox, wherever it is
    found = await _run(sandbox, f"find {path} -not -type d -not -path '{interpreter}/*'")
    assert (found.stdout, found.exit_code in (0, 1)) == ("", True)


async def test_another_sandbox_is_out_of_reach(sandbox: AsyncSandbox, options: ApiParams) -> None:
    other = await AsyncSandbox.create("base", timeout=60, **options)
    await other.files.write("/tmp/mine", "secret")
    await other.commands.run("python3 -m http.server 8765 --bind 0.0.0.0", background=True, timeout=0)
    try:
        assert not await sandbox.files.exists("/tmp/mine")
        for port in (8765, 49983):  # 49983: where envd listens on E2B
            assert _is_refused((await _probe(sandbox, port, LOOPBACK))[LOOPBACK])
        assert "http.server" not in (await _run(sandbox, "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")).stdout
        assert (await _run(sandbox, "find / -name envd.sock 2>/dev/null")).stdout == ""
    finally:
        await other.kill()


async def _probe(sandbox: AsyncSandbox, port: int, *addresses: str) -> Probed:
    """What came of each way to reach a port by each address."""
    ran = await _run(sandbox, f"python3 /tmp/probe.py {port} {' '.join(addresses)}")
    return cast("Probed", json.loads(ran.stdout))


def _is_refused(ways: Mapping[str, str | int]) -> bool:
    return ways["direct"] != "connected" and {ways["connect"], ways["get"]} <= REFUSALS


async def _run(sandbox: AsyncSandbox, script: str, cwd: str | None = None, **envs: str) -> CommandResult:
    """The result of a command, however it ended."""
    try:
        return await sandbox.commands.run(script, cwd=cwd, envs=envs)
    except CommandExitException as failure:
        return failure


def _basic(token: str | None) -> str:
    """A token as git sends it."""
    return base64.b64encode(f"x-access-token:{token}".encode()).decode()


def _address() -> str:
    """An address of this host that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])
