"""Free TCP ports on the loopback address."""

import secrets
import socket

LOOPBACK = "127.0.0.1"
RANGE = range(15_000, 32_000)
"""Below what the system gives to outgoing connections: a part that is down for a moment keeps its port."""


def is_free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_ports(count: int) -> list[int]:
    """So many distinct ports that nobody listens on; another program may take one before it is used."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = secrets.choice(RANGE)
        if port not in chosen and is_free(port):
            chosen.append(port)
    return chosen
