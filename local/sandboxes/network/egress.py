"""The only way out of a sandbox: an HTTP proxy on a unix socket of its own, run by the server outside.

It connects to the ports the operator allowed (the forge) and, as far as the sandbox's `NetworkPolicy` goes,
to public addresses. It resolves a name itself and connects to the very address it checked, so that a name
which changes its mind between two look-ups gains nothing.
"""

import asyncio
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from local.sandboxes.envd.relay import CONNECTED, HEAD_LIMIT, closing, splice
from local.sandboxes.network.name_resolution import NameResolver
from local.sandboxes.network.policy import NetworkPolicy
from local.sandboxes.network.refusals import RefusalCounter

log = logging.getLogger(__name__)

_HEAD_TIMEOUT = 30.0
_CONNECT_TIMEOUT = 15.0
_MAX_CONNECTIONS = 256  # of one sandbox at a time; the next one is hung up on

LOOPBACK = "127.0.0.1"
_NOT_PUBLIC = (
    ip_network("192.0.0.0/24"),  # protocol assignments; Python 3.11 takes a part of it for global
    ip_network("168.63.129.16/32"),  # a cloud's metadata and agents, at an address that looks public
)


class EgressRefused(Exception):
    """The proxy will not or cannot do it: the status and the sentence the client gets."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Forbidden(EgressRefused):
    """It will not, for this host is out of the sandbox's reach."""

    def __init__(self, message: str) -> None:
        super().__init__("403 Forbidden", message)


@dataclass(frozen=True)
class Target:
    """Where a request goes, and what is sent there first."""

    host: str
    port: int
    preamble: bytes
    tunnel: bool


class Egress:
    """The way out of one sandbox: `ports` of this host's loopback, and what of the internet it reaches."""

    def __init__(
        self, ports: Iterable[int], reach: NetworkPolicy, refusals: RefusalCounter | None = None
    ) -> None:
        self._ports = frozenset(ports)
        self._reach = reach
        self._refusals = refusals or RefusalCounter()
        self._names = NameResolver()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, path: Path) -> None:
        """Serve on a unix socket the sandbox's user may use; the directory around it keeps others out."""
        self._server = await asyncio.start_unix_server(self._accept, path, limit=HEAD_LIMIT)
        os.chmod(path, 0o666)  # noqa: S103 - the user inside is another one than the server's

    def close(self) -> None:
        """Stop serving and cut what is connected."""
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MAX_CONNECTIONS:
            writer.transport.abort()
            return
        connection = asyncio.create_task(self._handle(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with closing(writer):
            try:
                target = await read_target(reader)
                outer = await self._connect(target)
            except EgressRefused as refusal:
                log.info("egress refused: %s", refusal)
                body = f"{refusal}\n".encode()
                head = (
                    f"HTTP/1.1 {refusal.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
                return
            async with closing(outer[1]):
                outer[1].write(target.preamble)
                if target.tunnel:
                    writer.write(CONNECTED)
                await splice((reader, writer), outer)

    async def _connect(self, target: Target) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if target.host == LOOPBACK and target.port in self._ports:
            addresses = [LOOPBACK]
        else:
            try:
                addresses = await self._addresses(target)
            except Forbidden:
                self._refusals.count(target.host)
                raise
        reasons = []
        for address in addresses:
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    return await asyncio.open_connection(address, target.port)
            except (OSError, TimeoutError) as error:
                reasons.append(str(error) or "timed out")
        raise EgressRefused(
            "502 Bad Gateway", f"{target.host}:{target.port} cannot be reached: {'; '.join(reasons)}"
        )

    async def _addresses(self, target: Target) -> list[str]:
        """Raises Refused; a host that is out of reach is not even resolved."""
        if not self._reach.internet:
            raise Forbidden(f"{target.host}:{target.port}: this sandbox has no internet access")
        if not self._reach.includes(target.host):
            raise Forbidden(
                f"{target.host}:{target.port}: this sandbox reaches a list of hosts only, and not this one"
            )
        return await public_addresses(target.host, target.port, self._names)


async def read_target(reader: asyncio.StreamReader) -> Target:
    """Read the head of a proxy request: CONNECT host:port, or a method with an absolute http URL."""
    try:
        async with asyncio.timeout(_HEAD_TIMEOUT):
            head = await reader.readuntil(b"\r\n\r\n")
        request_line, *headers = head.decode("latin-1").split("\r\n")[:-2]
        method, url, version = request_line.split(" ")
        tunnel = method == "CONNECT"
        parts = urlsplit(f"//{url}" if tunnel else url)
        host, port = parts.hostname, parts.port
    except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise EgressRefused(
            "400 Bad Request", "this is an HTTP proxy: the request could not be read"
        ) from error
    if not host or (not tunnel and parts.scheme != "http") or (tunnel and port is None):
        raise EgressRefused("400 Bad Request", f"{url!r} is neither host:port for CONNECT nor an http:// URL")
    if tunnel:
        return Target(host, port or 443, b"", tunnel=True)
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    kept = [line for line in headers if not line.lower().startswith(("proxy-", "connection:", "keep-alive:"))]
    # one request per connection: the next one may be for another host and has to pass the same check
    lines = [f"{method} {path} {version}", *kept, "Connection: close", "", ""]
    return Target(host, port or 80, "\r\n".join(lines).encode("latin-1"), tunnel=False)


async def public_addresses(host: str, port: int, names: NameResolver) -> list[str]:
    """The addresses of a host, if it is a public one throughout. Raises Refused otherwise."""
    try:
        addresses = await names.resolve(host, port)
    except (OSError, UnicodeError, TimeoutError) as error:
        raise EgressRefused("502 Bad Gateway", f"{host} cannot be resolved") from error
    own = {address.address for interface in psutil.net_if_addrs().values() for address in interface}
    if not addresses or own.intersection(addresses) or not all(is_public(ip_address(it)) for it in addresses):
        raise Forbidden(f"{host} is not a public address: sandboxes reach the internet only")
    return addresses


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is of the public internet: no private net's, no metadata service's, no group's.

    Of IPv6, only 2000::/3 without the ranges that wrap an IPv4 address (mapped, 6to4, Teredo, NAT64).
    """
    if isinstance(address, IPv6Address):
        wraps = address.ipv4_mapped or address.sixtofour or address.teredo
        return not wraps and address.packed[0] >> 5 == 1 and address.is_global and not address.is_multicast
    special = address.is_multicast or address.is_reserved or any(address in net for net in _NOT_PUBLIC)
    return address.is_global and not special
