"""The toolbox as it is run in a sandbox: its two files, a home directory, a client for each call."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from gateways.sandboxes.sandbox import ToolResult
from gateways.toolbox.archive import archive, client
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@dataclass(frozen=True)
class ToolboxHome:
    """A home directory with the program in it, and a repository."""

    home: Path

    def __post_init__(self) -> None:
        (self.home / "repo").mkdir()
        self.program.write_bytes(archive())
        self.client.write_bytes(client())

    @property
    def program(self) -> Path:
        return self.home / "toolbox.pyz"

    @property
    def client(self) -> Path:
        return self.home / "toolbox.py"

    @property
    def repo(self) -> Path:
        return self.home / "repo"

    @property
    def private(self) -> Path:
        return self.home / ".codecourier"

    def entry(self, call_id: str) -> Path:
        return self.private / "journal" / call_id

    def processes(self) -> list[psutil.Process]:
        """The resident, if there is one, and those that it forked for calls at work."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if str(self.program) in process.cmdline():
                    found.append(process)
        return found

    def kill(self) -> None:
        """Kill them all; what their calls started goes on."""
        for process in self.processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()

    def start(
        self, call_id: str, request: Mapping[str, object] | bytes, envs: Mapping[str, str] = {}
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-IS", str(self.client), call_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"HOME": str(self.home), "PATH": os.environ["PATH"], **envs},
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(request if isinstance(request, bytes) else json.dumps(request).encode())
        process.stdin.close()
        process.stdin = None
        return process

    def call(
        self, call_id: str, request: Mapping[str, object] | bytes, envs: Mapping[str, str] = {}
    ) -> ToolResult:
        return wait_for_result(self.start(call_id, request, envs))

    def bash(
        self, call_id: str, command: str, envs: Mapping[str, str] = {}, timeout_seconds: int = 20
    ) -> ToolResult:
        return self.call(
            call_id, {"tool": "bash", "command": command, "timeout_seconds": timeout_seconds}, envs
        )


def wait_for_result(process: subprocess.Popen[bytes]) -> ToolResult:
    stdout, stderr = process.communicate(timeout=TEST_TIMEOUT_SECONDS)
    assert process.returncode == 0, stderr.decode()
    return ToolResult.model_validate_json(stdout)
