"""Processes of the product without the seconds that importing takes: one that has imported all and forks.

`python -m tests.support.forkserver` reads a line of JSON for each process, `{"program": "worker" | "api",
"arguments": {…}, "environment": {…}, "log": PATH}`, and answers with its process number.  Each is a process
and a session of its own, with traps.
"""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from cli.deployment.api import api as run_api
from local.stack.process import ProcessIdentity, StartError, python, python_environment
from tests.support.fault_injection.api import patch_api
from tests.support.fault_injection.clock import shift_clock
from tests.support.fault_injection.worker import patch_worker
from worker.main import main

PR_SET_PDEATHSIG = 1
"""No process outlives the one that forked it, whatever ended that."""


class ForkServer:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._lock = process, asyncio.Lock()

    async def worker(self, environment: Mapping[str, str], log: Path) -> ProcessIdentity:
        """Start a worker that sees this environment and nothing else; its output is appended to `log`."""
        return await self._fork("worker", {}, environment, log)

    async def api(self, port: int, environment: Mapping[str, str], log: Path) -> ProcessIdentity:
        """Start an API that listens on this port; see `worker`."""
        return await self._fork("api", {"port": port}, environment, log)

    async def _fork(
        self, program: str, arguments: Mapping[str, object], environment: Mapping[str, str], log: Path
    ) -> ProcessIdentity:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {
            "program": program,
            "arguments": arguments,
            "environment": {"PATH": os.environ["PATH"], **environment},
            "log": str(log),
        }
        async with self._lock:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            answer = await self._process.stdout.readline()
        if not answer:
            raise StartError("the process that workers are forked from has ended; its error is above")
        pid = int(answer)
        return ProcessIdentity.of(pid) or ProcessIdentity(pid=pid, started=0.0)


@asynccontextmanager
async def run_fork_server() -> AsyncIterator[ForkServer]:
    pipe = asyncio.subprocess.PIPE
    environment = {"PATH": os.environ["PATH"], **python_environment()}
    process = await asyncio.create_subprocess_exec(
        *python("tests.support.forkserver"), stdin=pipe, stdout=pipe, env=environment
    )
    try:
        yield ForkServer(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def _serve_api(port: int) -> None:
    patch_api()
    run_api(port=port)


PROGRAMS: dict[str, Callable[..., None]] = {"worker": main, "api": _serve_api}


def serve() -> None:
    gc.freeze()  # processes share what was imported as long as none of them looks through it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries those that ended
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _run_child(asked["program"], asked["arguments"], asked["environment"], asked["log"])
        print(pid, flush=True)


def _run_child(
    program: str, arguments: Mapping[str, object], environment: Mapping[str, str], log: str
) -> None:
    os.setsid()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for descriptor, target in ((os.open(os.devnull, os.O_RDONLY), 0), (output, 1), (output, 2)):
        os.dup2(descriptor, target)
    os.environ.clear()
    os.environ.update(environment)
    status = 1
    try:
        shift_clock()
        PROGRAMS[program](**arguments)
        status = 0
    except BaseException:  # to the log: nobody else will tell
        traceback.print_exc()
        raise
    finally:
        os._exit(status)


if __name__ == "__main__":
    patch_worker()
    serve()
