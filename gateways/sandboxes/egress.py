"""Egress in E2B's words: what a sandbox reaches when it is created, and what it asked for in vain."""

import json
from typing import Final, NotRequired, TypedDict

from e2b.sandbox.sandbox_api import SandboxNetworkOpts

from models.projects.egress import Egress, EgressMode

ANY_ADDRESS: Final = "0.0.0.0/0"
BLOCKED_NETWORKS: Final = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
)
"""Private networks, and the metadata services of clouds."""
REFUSED_KEY: Final = "egressRefused"
"""The metadata in which the embedded server tells the refusals; E2B tells none."""
MAX_HOSTS: Final = 21
MAX_HOST_CHARS: Final = 253


class Network(TypedDict):
    """Arguments of the SDK's `create`."""

    allow_internet_access: bool
    network: NotRequired[SandboxNetworkOpts]


def build_network(egress: Egress) -> Network:
    """A list without hosts is no internet at all.

    With a list, E2B lets DNS through to its default name server, and matches names by TLS and HTTP.
    """
    if egress.mode is EgressMode.everything:
        return Network(allow_internet_access=True, network={"deny_out": [*BLOCKED_NETWORKS]})
    if egress.mode is EgressMode.off or not egress.hosts:
        return Network(allow_internet_access=False)
    return Network(
        allow_internet_access=True, network={"allow_out": [*egress.hosts], "deny_out": [ANY_ADDRESS]}
    )


def parse_refused_hosts(metadata: dict[str, str]) -> dict[str, int]:
    """By host, how often; the names are whatever code in the sandbox asked for."""
    try:
        counts = json.loads(metadata.get(REFUSED_KEY, "{}"))
    except ValueError:
        return {}
    if not isinstance(counts, dict):
        return {}
    told = [(host, count) for host, count in counts.items() if isinstance(count, int)]
    return {str(host)[:MAX_HOST_CHARS]: count for host, count in told[:MAX_HOSTS]}
