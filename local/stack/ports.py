"""Free TCP ports on the loopback address."""

import secrets
import socket
from collections.abc import Iterator
from functools import cache
from itertools import count, islice

LOOPBACK = "127.0.0.1"
PORT_RANGE = range(15_000, 32_000)
"""Below what the system gives to outgoing connections: a part that is down for a moment keeps its port."""


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


@cache
def _candidates() -> Iterator[int]:
    """Every port of the range in turn, from a random one on: what this process chose may have no listener
    yet, and is not to be chosen again.
    """
    first = secrets.randbelow(len(PORT_RANGE))
    return (PORT_RANGE[number % len(PORT_RANGE)] for number in count(first))


def free_ports(wanted: int) -> list[int]:
    """So many distinct ports that nobody listens on; another program may take one before it is used."""
    return list(islice(filter(is_free, _candidates()), wanted))
