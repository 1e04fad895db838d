"""What the egress proxy connects to: the rule for addresses, and its way with requests."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path

import pytest

from local.sandboxes.network import name_resolution
from local.sandboxes.network.egress import Egress, EgressRefused, is_public, public_addresses, read_target
from local.sandboxes.network.name_resolution import MAX_LOOKUPS, NameResolver
from local.sandboxes.network.policy import Network, NetworkPolicy, policy_of
from local.sandboxes.network.refusals import MAX_HOSTS, OTHER_HOSTS, RefusalCounter
from local.stack.ports import LOOPBACK
from tests.support.waiting import TEST_TIMEOUT_SECONDS

PRIVATE = """
127.0.0.1 127.9.9.9 0.0.0.0 10.1.2.3 172.16.0.1 192.168.1.1 100.64.0.1 169.254.169.254 192.0.0.8 192.0.2.1
198.18.0.1 168.63.129.16 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 fc00::1 fd00:ec2::254 fe80::1
fec0::1 ff02::1 2001:db8::1 2001::1 2002:7f00:1::
"""


@pytest.mark.parametrize("address", PRIVATE.split())
def test_addresses_that_are_not_of_the_internet_are_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "140.82.121.4", "2606:4700:4700::1111", "2a00:1450:4001::200e"]
)
def test_addresses_of_the_internet_are_allowed(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["localhost", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "[::1]", "169.254.169.254", "10.0.0.1"],
)
async def test_every_spelling_of_a_private_address_is_refused(host: str) -> None:
    with pytest.raises(EgressRefused):
        await public_addresses(host.strip("[]"), 80, NameResolver())


async def test_the_checked_address_is_the_one_connected_to(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A name that is public at the first look-up and loopback at the second: the second never happens."""
    loop = asyncio.get_running_loop()
    answers = iter(["8.8.8.8", LOOPBACK])
    dialled: list[tuple[str, int]] = []

    def rebinding(host: str, port: int) -> list[str]:
        assert host == "rebind.example"
        return [next(answers)]

    async def dial(_: socket.socket, address: tuple[str, int]) -> None:
        dialled.append(address)
        raise ConnectionRefusedError

    egress = Egress([], NetworkPolicy())
    await egress.listen(tmp_path / "s")
    reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
    monkeypatch.setattr(name_resolution, "addresses", rebinding)
    monkeypatch.setattr(loop, "sock_connect", dial)
    writer.write(b"CONNECT rebind.example:443 HTTP/1.1\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 502")
    assert dialled == [("8.8.8.8", 443)]
    assert next(answers) == LOOPBACK
    writer.close()
    egress.close()


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that answers with what it got until the blank line."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head)
        writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


async def ask(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


async def test_allowed_ports_are_proxied_in_both_forms_and_nothing_else(tmp_path: Path, echo: int) -> None:
    egress = Egress([echo], NetworkPolicy())
    await egress.listen(tmp_path / "s")
    head = b"Host: x\r\nProxy-Authorization: Basic c2VjcmV0\r\nConnection: keep-alive\r\n\r\n"
    plain = await ask(tmp_path / "s", f"GET http://{LOOPBACK}:{echo}/a?b=c HTTP/1.1\r\n".encode() + head)
    assert plain.startswith(
        b"HTTP/1.1 200 OK\r\n\r\nGET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    tunnel = await ask(tmp_path / "s", f"CONNECT {LOOPBACK}:{echo} HTTP/1.1\r\n\r\nPING\r\n\r\n".encode())
    assert tunnel.endswith(b"PING\r\n\r\n")
    for target in (
        f"{LOOPBACK}:{echo + 1}",
        "169.254.169.254:80",
        "metadata.invalid:80",
        "[::ffff:127.0.0.1]:22",
    ):
        refused = await ask(tmp_path / "s", f"CONNECT {target} HTTP/1.1\r\n\r\n".encode())
        assert refused.split()[1] in (b"403", b"502"), target
    for nonsense in (
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n\r\n",
        b"CONNECT : HTTP/1.1\r\n\r\n",
        b"GET ftp://a/ HTTP/1.1\r\n\r\n",
    ):
        assert (await ask(tmp_path / "s", nonsense)).startswith(b"HTTP/1.1 400")
    egress.close()


async def test_without_internet_public_addresses_are_refused(tmp_path: Path, echo: int) -> None:
    egress = Egress([echo], NetworkPolicy(internet=False))
    await egress.listen(tmp_path / "s")
    assert b"no internet access" in await ask(tmp_path / "s", b"CONNECT 8.8.8.8:443 HTTP/1.1\r\n\r\n")
    egress.close()


async def test_a_head_without_end_is_refused(tmp_path: Path) -> None:
    reader = asyncio.StreamReader(limit=1000)
    reader.feed_data(b"GET http://a/ HTTP/1.1\r\n" + b"x: y\r\n" * 1000)
    with pytest.raises(EgressRefused):
        await read_target(reader)


@pytest.mark.parametrize(
    ("host", "reached"),
    [
        ("example.com", True),
        ("EXAMPLE.com.", True),
        ("a.example.com", False),
        ("files.example.org", True),
        ("a.files.example.org", True),
        ("example.org", False),
        ("evilexample.org", False),
        ("8.8.8.8", False),
    ],
)
def test_a_list_of_hosts_reaches_those_and_no_others(host: str, reached: bool) -> None:
    network = Network(allow_out=["example.com", "*.example.org"], deny_out=["0.0.0.0/0"])
    assert policy_of(True, network).includes(host) is reached


def test_the_words_of_the_protocol_say_how_far_a_sandbox_reaches() -> None:
    assert policy_of(None, None) == NetworkPolicy()
    assert policy_of(False, None) == NetworkPolicy(internet=False)
    assert policy_of(None, Network(deny_out=["0.0.0.0/0"])) == NetworkPolicy(internet=False)
    assert policy_of(None, Network(deny_out=["10.0.0.0/8"])) == NetworkPolicy()


async def test_a_host_off_the_list_is_refused_unresolved_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def resolve(host: str, port: int) -> list[str]:
        raise AssertionError(f"{host} was looked up")

    monkeypatch.setattr(name_resolution, "addresses", resolve)
    refusals = RefusalCounter()
    egress = Egress([], NetworkPolicy(hosts=["example.com"]), refusals)
    await egress.listen(tmp_path / "s")
    for _ in range(3):
        assert b"403" in await ask(tmp_path / "s", b"CONNECT secret-data.evil.example:443 HTTP/1.1\r\n\r\n")
    assert refusals.metadata == {"egressRefused": '{"secret-data.evil.example": 3}'}
    egress.close()


def test_refusals_of_many_hosts_are_told_as_one() -> None:
    refusals = RefusalCounter()
    for number in range(MAX_HOSTS + 30):
        refusals.count(f"h{number}.example")
    assert f'"{OTHER_HOSTS}": 30' in refusals.metadata["egressRefused"]
    assert len(refusals.metadata["egressRefused"]) < 1000


async def test_slow_names_of_one_sandbox_delay_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = threading.Event()

    def resolve(host: str, port: int) -> list[str]:
        if host == "slow.example":
            slow.wait(30)
        return ["8.8.8.8"]

    monkeypatch.setattr(name_resolution, "addresses", resolve)
    greedy, other = NameResolver(), NameResolver()
    waiting = [asyncio.create_task(greedy.resolve("slow.example", 443)) for _ in range(50)]
    await asyncio.sleep(0.1)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        assert await other.resolve("quick.example", 443) == ["8.8.8.8"]
        assert await asyncio.to_thread(lambda: "free") == "free"
    assert sum(thread.name.startswith("names") for thread in threading.enumerate()) <= 2 * MAX_LOOKUPS + 1
    slow.set()
    assert await asyncio.gather(*waiting) == [["8.8.8.8"]] * 50
