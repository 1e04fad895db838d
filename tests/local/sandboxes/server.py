"""The sandbox server as a process of its own, and the options with which the real SDK talks to it."""

import fcntl
import os
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import psutil
from e2b import ApiParams

from local.ports import LOOPBACK, free_ports

API_KEY = "e2b_key_of_the_sandbox_tests_0123456789"
PATIENCE = 20.0


@dataclass
class Server:
    """A sandbox server that can be stopped, killed and started again on the same port and directory."""

    data: Path
    port: int
    allowed: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def options(self) -> ApiParams:
        return ApiParams(api_key=API_KEY, api_url=self.url, sandbox_url=self.url, retries=0)

    def start(self, terminal: int | None = None) -> None:
        """terminal: a pseudo-terminal to be started from, as by a person."""
        allowed = [word for port in self.allowed for word in ("--allow", f"{LOOPBACK}:{port}")]
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "local.sandboxes",
                "--port",
                str(self.port),
                "--data",
                str(self.data),
                *allowed,
            ],
            env={**os.environ, "E2B_API_KEY": API_KEY},
            start_new_session=terminal is not None,
            preexec_fn=None if terminal is None else partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0),
        )
        until(self._healthy)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)

    def descendants(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def _healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the sandbox server did not start: see its log above"
        try:
            return httpx.get(f"{self.url}/health").status_code == 204
        except httpx.TransportError:
            return False


def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait until something holds; AssertionError after the patience."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@contextmanager
def serving(data: Path, *allowed: int) -> Iterator[Server]:
    server = Server(data, free_ports(1)[0], allowed)
    server.start()
    try:
        yield server
    finally:
        server.stop()
