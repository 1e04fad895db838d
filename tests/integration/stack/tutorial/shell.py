"""A shell in which the texts' snippets run as they stand."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydantic import JsonValue

from tests.support.waiting import TEST_TIMEOUT_SECONDS

CURLS = {"ours": [sys.executable, str(Path(__file__).with_name("curl.py"))]}
"""The machine's curl, if it has one, and an interpreter of curl's command line."""
if installed := shutil.which("curl"):
    CURLS["curl"] = [installed, "--disable", "--silent", "--show-error"]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: JsonValue


class Shell:
    """curl: the command that `curl` is in this shell; it also keeps the headers of the answer.

    directory: holds that command, and the programs that are run.
    """

    def __init__(self, curl: list[str], directory: Path) -> None:
        self._directory, self._headers = directory, directory / "headers"
        command = directory / "bin" / "curl"
        command.parent.mkdir()
        words = [*curl, "--dump-header", str(self._headers)]
        command.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
        command.chmod(0o700)
        path = f"{command.parent}:{os.environ['PATH']}"
        self._environment = {"PATH": path, "HOME": str(directory), "NO_PROXY": "127.0.0.1"}

    def run(self, script: str) -> str:
        """What a script prints; it must succeed and have nothing to complain about."""
        ran = subprocess.run(
            ["sh", "-eu"],
            input=script,
            cwd=self._directory,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=TEST_TIMEOUT_SECONDS,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, ""), f"{script}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def curl(self, script: str) -> Answer:
        """The JSON answer to the request of a script."""
        body = json.loads(self.run(script))
        status, *lines = self._headers.read_text(encoding="latin-1").strip().splitlines()
        headers = httpx.Headers([(name, value) for name, value in (line.split(": ", 1) for line in lines)])
        return Answer(int(status.split()[1]), headers, body)

    def program(self, exports: str, command: list[str], name: str, code: str) -> list[str]:
        """The lines that a program prints, started in a shell that has the exports."""
        (self._directory / name).write_text(code)
        return self.run(f"{exports}\nexec {shlex.join([*command, name])}\n").splitlines()
