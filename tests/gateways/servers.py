"""The embedded sandbox server and forge as processes, for the gateways to be tried against."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from local.ports import LOOPBACK, free_ports

E2B_API_KEY = "e2b_key_of_the_tests_0123456789"
FORGE_TOKEN = "forge-token-of-the-tests-0123456789"


@dataclass(frozen=True)
class Server:
    url: str
    data: Path


@contextmanager
def serving(
    module: str, data: Path, environment: Mapping[str, str], *flags: str, port: int
) -> Iterator[Server]:
    """`python -m MODULE` until the block ends; raises AssertionError when it does not start."""
    url = f"http://{LOOPBACK}:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--host", LOOPBACK, "--port", str(port), "--data", str(data), *flags],
        env={"PATH": os.environ["PATH"], **environment},
    )
    try:
        deadline = time.monotonic() + 20
        while not _answers(f"{url}/health"):
            assert process.poll() is None, f"{module} did not start"
            assert time.monotonic() < deadline, f"{module} does not answer"
            time.sleep(0.05)
        yield Server(url, data)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 204
    except httpx.TransportError:
        return False


@contextmanager
def forge_and_sandboxes(directory: Path) -> Iterator[tuple[Server, Server]]:
    """A forge, and a sandbox server whose sandboxes reach that forge and nothing else."""
    forge_port, sandboxes_port = free_ports(2)
    forge_environment, sandboxes_environment = {"FORGE_TOKEN": FORGE_TOKEN}, {"E2B_API_KEY": E2B_API_KEY}
    flags = ("--allow", f"{LOOPBACK}:{forge_port}")
    with (
        serving("local.forge", directory / "forge", forge_environment, port=forge_port) as forge,
        serving(
            "local.sandboxes", directory / "sandboxes", sandboxes_environment, *flags, port=sandboxes_port
        ) as sandboxes,
    ):
        yield forge, sandboxes
