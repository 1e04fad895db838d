"""Which addresses a user's URL may lead to: the public internet and nothing else.

Names are resolved by ourselves, right before each connection, and it is made to exactly the address that was
looked at: a name that resolves to something else a moment later gains nothing.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import SplitResult, urlsplit

IpAddress = IPv4Address | IPv6Address

_REFUSED_V4: Final = [
    ip_network(block)
    for block in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' own; a cloud keeps its metadata there
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's own services
        "169.254.0.0/16",  # link-local; metadata of most clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; metadata of a cloud
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
]
_ALLOWED_V6: Final = ip_network("2000::/3")
"""All that is handed out; loopback, IPv4-mapped, NAT64, unique local, link-local, multicast are outside."""
_REFUSED_V6: Final = [
    ip_network(block)
    for block in (
        "2001::/23",  # protocol assignments, Teredo, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: leads to any IPv4 address
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
]
_MIN_UNPRIVILEGED_PORT: Final = 1024
_PORTS: Final = (80, 443)
_RESOLVERS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="resolve")
"""Of our own: names that resolve slowly keep nobody but webhooks waiting."""


class AddressRefused(Exception):
    """A URL or an address that is not called; the message says why, for its owner."""


def is_public(address: IpAddress) -> bool:
    """Whether it is somebody's on the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in block for block in _REFUSED_V4)
    return address in _ALLOWED_V6 and not any(address in block for block in _REFUSED_V6)


def check_url(url: str, *, allow_private: bool) -> SplitResult:
    """The parts of a URL that may be called, as far as it alone can tell; AddressRefused otherwise.

    allow_private: for local work; http and private addresses are fine too.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise AddressRefused("this is no URL") from None
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise AddressRefused("give an https:// address")
    if not parts.hostname or not parts.hostname.isascii() or "%" in parts.hostname:
        raise AddressRefused("its host is missing or malformed")
    if parts.username is not None or parts.password is not None:
        raise AddressRefused("a user name or a password does not belong into the address: use the signature")
    if parts.fragment or "#" in url:
        raise AddressRefused("a fragment (#…) is never sent: leave it out")
    if "\\" in url or any(not "!" <= sign <= "~" for sign in url):
        raise AddressRefused("write other signs than printable ASCII as %XX")
    if port is not None and not _is_open(port, allow_private=allow_private):
        raise AddressRefused("its port may be 443, 80 or one from 1024 up")
    literal = _literal(parts.hostname)
    if literal is not None and not allow_private and not is_public(literal):
        raise AddressRefused(f"{literal} is not an address of the public internet")
    return parts


async def resolve(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of a name, each looked at; AddressRefused if one may not be called, or there is none."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.run_in_executor(
            _RESOLVERS, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        raise AddressRefused("its host has no address (DNS)") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if not addresses:
        raise AddressRefused("its host has no address (DNS)")
    for address in addresses:
        if not allow_private and not is_public(ip_address(address)):
            raise AddressRefused("its host has an address that is not of the public internet")
    return addresses


def _is_open(port: int, *, allow_private: bool) -> bool:
    return port >= _MIN_UNPRIVILEGED_PORT or port in _PORTS or (allow_private and port > 0)


def _literal(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None
