"""The embedded sandbox server and forge as processes, for the gateways to be tried against."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.stack.ports import LOOPBACK, free_ports
from tests.support.server_process import run_server

E2B_API_KEY = "e2b_key_of_the_tests_0123456789"
FORGE_TOKEN = "forge-token-of-the-tests-0123456789"


@dataclass(frozen=True)
class ServedDirectory:
    url: str
    data: Path


@contextmanager
def forge_and_sandboxes(directory: Path) -> Iterator[tuple[ServedDirectory, ServedDirectory]]:
    """A forge, and a sandbox server whose sandboxes reach that forge and nothing else."""
    port = free_ports(1)[0]
    forge, sandboxes = directory / "forge", directory / "sandboxes"
    allowed = ("--data", str(sandboxes), "--allow", f"{LOOPBACK}:{port}")
    with (
        run_server("local.forge", {"FORGE_TOKEN": FORGE_TOKEN}, "--data", str(forge), port=port) as forge_url,
        run_server("local.sandboxes", {"E2B_API_KEY": E2B_API_KEY}, *allowed) as sandboxes_url,
    ):
        yield ServedDirectory(forge_url, forge), ServedDirectory(sandboxes_url, sandboxes)
