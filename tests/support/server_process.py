"""An embedded server as a process of its own, for tests that speak to it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from local.stack.ports import LOOPBACK, free_ports
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@contextmanager
def run_server(
    module: str, environment: Mapping[str, str], *flags: str, port: int | None = None
) -> Iterator[str]:
    """The address of `python -m MODULE` until the block ends; AssertionError when it does not start."""
    port = port or free_ports(1)[0]
    url = f"http://{LOOPBACK}:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", module, "--host", LOOPBACK, "--port", str(port), *flags],
        env={"PATH": os.environ["PATH"], **environment},
    )
    try:
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while not _answers(f"{url}/health"):
            assert process.poll() is None, f"{module} did not start"
            assert time.monotonic() < deadline, f"{module} does not answer"
            time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait(TEST_TIMEOUT_SECONDS)


@contextmanager
def run_scripted_model(directory: Path, key: str, scenarios: Iterable[object]) -> Iterator[str]:
    """The address of a model that plays these scenarios, the first that fits before the later ones."""
    for number, scenario in enumerate(scenarios):
        (directory / f"{number:02}.json").write_text(json.dumps(scenario))
    with run_server("local.model", {"ANTHROPIC_API_KEY": key}, "--scenarios", str(directory)) as url:
        yield url


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 204
    except httpx.TransportError:
        return False
