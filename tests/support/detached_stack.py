"""A whole stack as its user has it: started and stopped by the command, spoken to by its addresses."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx
import psutil
from pydantic import JsonValue

from local.stack.plan import REPLACING_VARIABLES, STACK_VARIABLE
from local.stack.process import ProcessIdentity
from local.stack.state import StackFile
from tests.support.waiting import TEST_TIMEOUT_SECONDS

ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in REPLACING_VARIABLES.values()}
"""No part is replaced by a real one, whatever the machine has keys for."""
FINAL_STATUSES = ("completed", "failed", "cancelled")
Json = dict[str, JsonValue]


@dataclass(frozen=True)
class DetachedStack:
    directory: Path

    def up(self) -> str:
        """Start what is not running; what the command said."""
        return self._command("up", "--detach")

    def down(self) -> str:
        return self._command("down")

    @property
    def file(self) -> StackFile:
        """The addresses and process numbers of now."""
        file = StackFile.read(self.directory)
        assert file is not None, "the stack does not run"
        return file

    def kill(self, part: str) -> None:
        """End a part with SIGKILL, and see that it is gone."""
        process = ProcessIdentity.of(self.file.pids[part] or 0)
        assert process is not None, f"{part} does not run"
        process.send(signal.SIGKILL)
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while process.is_alive:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def marked(self) -> list[str]:
        """The command lines of all processes with this stack's mark or with its directory in their words."""
        found = []
        for process in psutil.process_iter():
            try:
                words, environment = process.cmdline(), process.environ()
            except psutil.Error:  # it ended meanwhile, or is the kernel's or somebody else's
                continue
            if environment.get(STACK_VARIABLE) == str(self.directory) or str(self.directory) in " ".join(
                words
            ):
                found.append(" ".join(words))
        return found

    def get(self, path: str, **query: str) -> JsonValue:
        """The `data` of an answer of the API."""
        return self._data(httpx.get(self._url(path), params=query, headers=self._headers, timeout=30))

    def post(self, path: str, body: Json) -> JsonValue:
        return self._data(httpx.post(self._url(path), json=body, headers=self._headers, timeout=30))

    def start_run(self, prompt: str, workflow_id: str | None = None) -> str:
        """Start a run of the given or the first workflow on the project's repository; its id."""
        if workflow_id is None:
            (workflow, *_) = cast("list[Json]", self.get("workflows/list"))
            workflow_id = str(workflow["id"])
        run = cast("Json", self.post("runs/start", {"workflowId": workflow_id, "prompt": prompt}))
        return str(run["id"])

    def run(self, run_id: str) -> Json:
        return cast("Json", self.get("runs/get", id=run_id))

    def until(self, run_id: str, *types: str) -> None:
        """Wait for events of a run."""
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while not {*types} <= (seen := self._events(run_id)):
            assert time.monotonic() < deadline, seen
            time.sleep(0.05)

    def ended(self, run_id: str) -> Json:
        """A run once it has ended, however."""
        deadline = time.monotonic() + TEST_TIMEOUT_SECONDS
        while (run := self.run(run_id))["status"] not in FINAL_STATUSES:
            assert time.monotonic() < deadline, run
            time.sleep(0.1)
        return run

    def _events(self, run_id: str) -> set[str]:
        log = cast("list[Json]", self.get(f"runs/{run_id}/events", follow="false"))
        return {str(event["type"]) for event in log}

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.file.api_key}"}

    def _url(self, path: str) -> str:
        return f"{self.file.api_url}/api/v1/{path}"

    def _data(self, answer: httpx.Response) -> JsonValue:
        assert answer.is_success, f"{answer.url}: {answer.text}"
        return cast("JsonValue", answer.json()["data"])

    def _command(self, *words: str) -> str:
        ran = subprocess.run(
            [sys.executable, "-m", "cli.main", *words, "--data", str(self.directory)],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT_SECONDS,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout


@contextmanager
def run_stack(directory: Path) -> Iterator[DetachedStack]:
    """A stack that is up until the block ends, and leaves no process."""
    stack = DetachedStack(directory)
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
    assert stack.marked() == []
