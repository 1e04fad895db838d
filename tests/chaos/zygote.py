"""Workers without the seconds that importing them takes: a process that has imported everything and forks.

`python -m tests.chaos.zygote` reads a line of JSON for each worker, `{"environment": {…}, "log": PATH}`, and
answers with its process number.  Each worker is a process and a session of its own.
"""

import asyncio
import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from local.process import Identity, python, python_environment
from tests.chaos.worker import lay
from worker.main import main

PR_SET_PDEATHSIG = 1
"""No worker outlives the process that forked it, whatever ended that."""


class Zygote:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process, self._lock = process, asyncio.Lock()

    async def worker(self, environment: Mapping[str, str], log: Path) -> Identity:
        """Start a worker that sees this environment and nothing else; its output is appended to `log`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        asked = {"environment": {"PATH": os.environ["PATH"], **environment}, "log": str(log)}
        async with self._lock:
            self._process.stdin.write(json.dumps(asked).encode() + b"\n")
            pid = int(await self._process.stdout.readline())
        return Identity.of(pid) or Identity(pid=pid, started=0.0)


@asynccontextmanager
async def zygote() -> AsyncIterator[Zygote]:
    pipe = asyncio.subprocess.PIPE
    environment = {"PATH": os.environ["PATH"], **python_environment()}
    process = await asyncio.create_subprocess_exec(
        *python("tests.chaos.zygote"), stdin=pipe, stdout=pipe, env=environment
    )
    try:
        yield Zygote(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


def serve() -> None:
    gc.freeze()  # workers share what was imported as long as none of them looks through it
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries those that ended
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _be_a_worker(asked["environment"], asked["log"])
        print(pid, flush=True)


def _be_a_worker(environment: Mapping[str, str], log: str) -> None:
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
        main()
        status = 0
    finally:
        os._exit(status)


if __name__ == "__main__":
    lay()
    serve()
