"""Run inside a sandbox: tries to reach a port by every address, and prints what came of it as JSON.

usage: probe.py PORT ADDRESS…

direct: "connected", or the error's name; connect and get: the status the HTTP proxy answers with.
"""

import errno
import json
import os
import socket
import sys
from urllib.parse import urlsplit


def direct(host: str, port: int) -> str:
    try:
        socket.create_connection((host, port), 2).close()
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "connected"


def asked(request: str) -> int:
    """The status of the proxy's answer to a request line."""
    proxy = urlsplit(os.environ["HTTP_PROXY"])
    with socket.create_connection((proxy.hostname, proxy.port), 10) as connection:
        connection.sendall(f"{request} HTTP/1.1\r\n\r\n".encode())
        return int(connection.recv(64).split()[1])


def tried(address: str, port: int) -> dict[str, str | int]:
    authority = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    return {
        "direct": direct(address, port),
        "connect": asked(f"CONNECT {authority}"),
        "get": asked(f"GET http://{authority}/"),
    }


print(json.dumps({address: tried(address, int(sys.argv[1])) for address in sys.argv[2:]}))
