"""How far into the internet a sandbox reaches, in the words of E2B's protocol.

`allow_internet_access: false` is nowhere.  `network.denyOut` with everything in it and `network.allowOut`
with names is a list of hosts: `example.com` is that host, `*.example.com` are all below it.  What is not of
the public internet is never reached, whatever is allowed (see `egress`).
"""

from ipaddress import ip_network

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

EVERYTHING = ip_network("0.0.0.0/0")


class Network(BaseModel):
    """`network` of the body that creates a sandbox, as far as this server goes."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    allow_out: list[str] = Field(default_factory=list)
    deny_out: list[str] = Field(default_factory=list)


class NetworkPolicy(BaseModel):
    """What a sandbox reaches besides the operator's ports of this host."""

    internet: bool = True
    hosts: list[str] | None = None
    """None: all of it."""

    def includes(self, host: str) -> bool:
        """Whether this host, as a request names it, may be connected to."""
        if self.hosts is None:
            return self.internet
        name = host.lower().rstrip(".")
        return self.internet and any(_matches(pattern.lower(), name) for pattern in self.hosts)


def policy_of(allow_internet_access: bool | None, network: Network | None) -> NetworkPolicy:
    """Raises ValueError for a network that no `NetworkPolicy` is."""
    if allow_internet_access is False:
        return NetworkPolicy(internet=False)
    if network is None or not network.allow_out:
        denied = network.deny_out if network else []
        return NetworkPolicy(internet=str(EVERYTHING) not in denied)
    if str(EVERYTHING) not in network.deny_out:
        return NetworkPolicy()
    return NetworkPolicy(hosts=network.allow_out)


def _matches(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.endswith(pattern[1:]) and name != pattern[2:]
    return name == pattern
