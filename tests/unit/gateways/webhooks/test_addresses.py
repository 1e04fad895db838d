"""Where a webhook may go: every range that is nobody's on the public internet is refused, by any spelling."""

import socket
from ipaddress import ip_address

import pytest

from gateways.webhooks.addresses import AddressRefused, check_url, is_public, resolve

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.215.14",
    "100.63.255.255",
    "100.128.0.0",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "168.63.129.15",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2001:200::1",
    "2620:4f:8001::1",
]
NOT_PUBLIC = {
    "this network": ["0.0.0.0", "0.255.255.255"],
    "private": [
        "10.0.0.1",
        "10.255.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.168.0.0",
        "192.168.255.255",
    ],
    "carriers": ["100.64.0.0", "100.127.255.255", "100.100.100.200"],
    "loopback": ["127.0.0.1", "127.255.255.255", "::1"],
    "link-local and metadata": ["169.254.0.0", "169.254.169.254", "169.254.170.2", "fe80::1", "febf::1"],
    "a cloud's own": ["168.63.129.16", "192.0.0.192", "fd00:ec2::254"],
    "protocols": ["192.0.0.0", "192.0.0.255", "192.88.99.1", "192.31.196.1", "192.52.193.1", "192.175.48.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "benchmarks": ["198.18.0.0", "198.19.255.255", "2001:2::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "4000::1", "e000::1"],
    "unspecified": ["::"],
    "IPv4-mapped": ["::ffff:127.0.0.1", "::ffff:8.8.8.8", "::ffff:0:8.8.8.8"],
    "IPv4-compatible": ["::127.0.0.1", "::8.8.8.8"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1"],
    "6to4": ["2002:7f00:1::1", "2002:808:808::1"],
    "Teredo": ["2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "ORCHID": ["2001:10::1", "2001:20::1"],
    "unique local": ["fc00::1", "fdff::1"],
    "site-local": ["fec0::1"],
    "discard": ["100::1"],
    "segment routing": ["5f00::1"],
    "AS112": ["2620:4f:8000::1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize(
    ("kind", "address"), [(kind, each) for kind, addresses in NOT_PUBLIC.items() for each in addresses]
)
def test_an_address_that_is_not_public_is_refused(kind: str, address: str) -> None:
    assert not is_public(ip_address(address)), kind
    host = f"[{address}]" if ":" in address else address
    with pytest.raises(AddressRefused, match="public internet"):
        check_url(f"https://{host}/hook", allow_private=False)
    check_url(f"http://{host}/hook", allow_private=True)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "https:///hook",
        "https://",
        "example.com",
        "//example.com",
        "https://user:pass@example.com/",
        "https://user@example.com/",
        "https://example.com/#fragment",
        "https://example.com/#",
        "https://example.com:25/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:x/",
        "https://[::1",
        "https://exa mple.com/",
        "https://ex\u00e4mple.com/",
        "https://example.com\\@evil.example/",
        "https://[fe80::1%25eth0]/",
        "https://example.com/\r\nx: y",
    ],
)
def test_a_malformed_or_forbidden_url_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url", ["https://example.com/a?b=c", "https://example.com:8443", "https://xn--exmple-cua.com/"]
)
def test_a_url_of_the_public_internet_is_fine(url: str) -> None:
    check_url(url, allow_private=False)


@pytest.mark.parametrize(
    "host", ["localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0", "127.0.0.1"]
)
async def test_every_spelling_of_loopback_is_refused_when_it_is_resolved(host: str) -> None:
    with pytest.raises(AddressRefused):
        await resolve(host, 443, allow_private=False)


async def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    def look_up(host: str, port: int, **_: object) -> list[object]:
        return [(2, 1, 6, "", (address, port)) for address in ("8.8.8.8", "10.0.0.1")]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(AddressRefused, match="not of the public internet"):
        await resolve("both.example", 443, allow_private=False)
    assert await resolve("both.example", 443, allow_private=True) == ["8.8.8.8", "10.0.0.1"]
