"""What a sandbox can and cannot reach."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2b import AsyncSandbox

from local.stack.ports import LOOPBACK, free_ports
from tests.support.sandbox_server import API_KEY, SandboxServer


async def reaches(sandbox: AsyncSandbox, host: str, port: int) -> bool:
    """Whether a plain connection from inside succeeds."""
    script = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
    return (await sandbox.commands.run(f'python3 -c "{script}" 2>&1 || echo failed')).stdout == ""


async def fetch(sandbox: AsyncSandbox, url: str, *, proxy: bool = True) -> str:
    """The status and body of a GET from inside, by the proxy of the environment or without it."""
    handler = "" if proxy else "urllib.request.ProxyHandler({})"
    script = (
        f"import urllib.request, urllib.error\n"
        f"opener = urllib.request.build_opener({handler})\n"
        f"try: answer = opener.open({url!r}, timeout=5)\n"
        f"except urllib.error.HTTPError as error: answer = error\n"
        f"except OSError as error: print('unreachable'); raise SystemExit\n"
        f"print(answer.status, answer.read().decode())\n"
    )
    await sandbox.files.write("fetch.py", script)
    return (await sandbox.commands.run("python3 fetch.py")).stdout.strip()


@pytest.fixture(scope="session")
def lan_address() -> str:
    """An address of this host that is not loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A file of the host that any user may read."""
    file = Path("/var/tmp") / f"canary-{tmp_path.name}"
    file.write_text("out of reach")
    file.chmod(0o644)
    yield file
    file.unlink()


async def test_the_allowed_port_is_reached_at_the_very_same_url(
    sandbox: AsyncSandbox, forge_like: int
) -> None:
    assert await fetch(sandbox, f"http://{LOOPBACK}:{forge_like}/") == "200 hello"
    assert await fetch(sandbox, f"http://{LOOPBACK}:{forge_like}/", proxy=False) == "200 hello"
    assert await fetch(sandbox, f"http://localhost:{forge_like}/") == "200 hello"


async def test_no_other_service_of_the_host_is_reached(
    sandbox: AsyncSandbox, server: SandboxServer, private_service: int, lan_address: str
) -> None:
    for port in (private_service, server.port):
        assert not await reaches(sandbox, LOOPBACK, port)
        assert not await reaches(sandbox, lan_address, port)
        assert await fetch(sandbox, f"http://{LOOPBACK}:{port}/health", proxy=False) == "unreachable"
    assert not await reaches(sandbox, "169.254.169.254", 80)
    assert (
        await sandbox.commands.run("ls /sys/class/net 2>/dev/null; cat /proc/net/dev | tail -n +3 | wc -l")
    ).stdout == "1\n"


async def test_the_egress_socket_itself_refuses_what_the_proxy_refuses(
    sandbox: AsyncSandbox, private_service: int, forge_like: int
) -> None:
    script = (
        "import socket, sys\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('/run/egress.sock')\n"
        "s.sendall(f'CONNECT {sys.argv[1]} HTTP/1.1\\r\\n\\r\\n'.encode())\n"
        "print(s.recv(100).split()[1].decode())\n"
    )
    await sandbox.files.write("dial.py", script)
    for target in (
        f"{LOOPBACK}:{private_service}",
        f"localhost:{private_service}",
        f"[::1]:{private_service}",
    ):
        assert (await sandbox.commands.run(f"python3 dial.py {target}")).stdout == "403\n"
    assert (await sandbox.commands.run(f"python3 dial.py {LOOPBACK}:{forge_like}")).stdout == "200\n"


async def test_a_sandbox_without_internet_has_the_allowed_port_only(
    server: SandboxServer, forge_like: int
) -> None:
    sandbox = await AsyncSandbox.create("base", allow_internet_access=False, **server.options)
    refused = await fetch(sandbox, "http://example.com/")
    assert refused.startswith("403")
    assert "no internet access" in refused
    assert await fetch(sandbox, f"http://{LOOPBACK}:{forge_like}/") == "200 hello"
    await sandbox.kill()


async def test_no_file_of_the_host_is_in_sight(
    server: SandboxServer, sandbox: AsyncSandbox, canary: Path
) -> None:
    for path in (canary, server.data, Path(__file__), Path("/etc/shadow"), Path.home() / ".bashrc"):
        assert not await sandbox.files.exists(str(path)), path
    listing = await sandbox.commands.run("ls -A /home /run /var | grep -v : | sort")
    assert listing.stdout.split() == ["egress.sock", "tmp", "user"]
    writes = await sandbox.commands.run(
        "touch /x /usr/x /etc/x /opt/envd/x /run/x /dev/x 2>&1 | grep -c touch"
    )
    assert writes.stdout == "6\n"


async def test_sandboxes_do_not_see_each_other(server: SandboxServer, sandbox: AsyncSandbox) -> None:
    other = await AsyncSandbox.create("base", **server.options)
    await other.files.write("/tmp/mine", "secret")
    await other.commands.run("python3 -m http.server 8765 --bind 127.0.0.1", background=True, timeout=0)
    assert not await sandbox.files.exists("/tmp/mine")
    assert not await reaches(sandbox, LOOPBACK, 8765)
    processes = (await sandbox.commands.run("ps -ef || cat /proc/[0-9]*/cmdline")).stdout
    assert "http.server" not in processes
    await other.kill()


async def test_no_secret_stands_on_a_command_line(server: SandboxServer) -> None:
    secret = "canary-4711-of-the-environment"
    sandbox = await AsyncSandbox.create("base", envs={"SECRET": secret}, **server.options)
    lines = [" ".join(process.cmdline()) for process in server.descendants()]
    assert any("bwrap" in line for line in lines)
    token = sandbox.connection_config.sandbox_headers["X-Access-Token"]
    assert not any(word in line for line in lines for word in (secret, token, API_KEY))
    inside = (
        await sandbox.commands.run("cat /proc/[0-9]*/cmdline /proc/*/environ 2>/dev/null | tr '\\0' '\\n'")
    ).stdout
    assert API_KEY not in inside
    assert token not in inside
    await sandbox.kill()


async def test_a_sandbox_has_no_privileges_and_limits_hold(sandbox: AsyncSandbox) -> None:
    status = (await sandbox.commands.run("grep -E 'Cap(Prm|Eff|Bnd)|NoNewPrivs' /proc/self/status")).stdout
    assert {line.split()[1] for line in status.splitlines() if line.startswith("Cap")} == {"0" * 16}
    assert "NoNewPrivs:\t1" in status
    bomb = "x = bytearray(20 << 30)"
    assert "MemoryError" in (await sandbox.commands.run(f"python3 -c '{bomb}' 2>&1 || true")).stdout
    assert (await sandbox.commands.run("ulimit -u; ulimit -c")).stdout.split()[1] == "0"
    assert (await sandbox.commands.run("mount -t tmpfs x /mnt 2>&1 || true")).stdout


async def test_a_terminal_that_the_server_was_started_from_is_out_of_reach(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    server = SandboxServer(tmp_path / "data", free_ports(1)[0])
    server.start(terminal=theirs)
    sandbox = await AsyncSandbox.create("base", **server.options)
    tried = await sandbox.commands.run("echo typed > /dev/tty || true")
    assert "No such device or address" in tried.stderr
    await sandbox.kill()
    server.stop()
    os.close(ours)
    os.close(theirs)
