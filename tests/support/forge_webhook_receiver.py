"""A receiver of webhooks on a port of its own: keeps what it is sent, and answers as it is told."""

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from local.stack.ports import LOOPBACK, free_ports
from tests.support.waiting import TEST_TIMEOUT_SECONDS

SECRET = "secret-of-the-webhooks-of-the-tests"


@dataclass(frozen=True)
class Sent:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> str:
        """`pull_request opened`, or the mere name of an event without actions."""
        return " ".join(filter(None, (self.headers["x-github-event"], self.payload.get("action"))))

    @property
    def guid(self) -> str:
        return self.headers["x-github-delivery"]

    @property
    def payload(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def is_signed(self) -> bool:
        expected = hmac.new(SECRET.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers.get("x-hub-signature-256") == f"sha256={expected}"


@dataclass
class Receiver:
    """status: what it answers; delay: for how many seconds it keeps the sender waiting."""

    port: int = field(default_factory=lambda: free_ports(1)[0])
    sent: list[Sent] = field(default_factory=list)
    status: int = 200
    delay: float = 0.0

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}/hook"

    def events(self) -> list[str]:
        return [one.event for one in self.sent]

    def wait(self, event: str, count: int = 1) -> list[Sent]:
        """Those of one event, as soon as there are so many."""
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            found = [one for one in list(self.sent) if one.event == event]
            if len(found) >= count:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{count} × {event} expected, came: {self.events()}")

    @contextmanager
    def listening(self) -> Iterator["Receiver"]:
        """Answers as long as the block lasts; outside it connections are refused."""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                delay = receiver.delay
                receiver.sent.append(Sent(self.path, headers, body))
                time.sleep(delay)
                self.send_response(receiver.status)
                self.end_headers()
                self.wfile.write(b"Thanks")

            def log_message(self, format: str, *args: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            def handle_error(self, request: object, client_address: object) -> None:
                pass  # a sender that was killed, or that waited no longer

        server = Server((LOOPBACK, self.port), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
