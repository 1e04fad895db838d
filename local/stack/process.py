"""Processes that outlive the command that started them, told apart from later ones with the same number."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

REPOSITORY_ROOT = Path(__file__).parents[2]
INHERITED_VARIABLES = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
)


_EXIT_CODES: dict[int, int] = {}
"""How children of this process ended, by number: the kernel tells their parent, once."""


class StartError(Exception):
    """A part that did not start; the message names the part, the reason and its log."""


class ProcessIdentity(BaseModel):
    """A process by number and start time: a number used again by another process is not the same identity."""

    model_config = ConfigDict(frozen=True)
    pid: int
    started: float
    """Seconds since the epoch, as the kernel counts them."""

    @classmethod
    def of(cls, pid: int) -> "ProcessIdentity | None":
        """The process that has this number now; None if there is none, or only its remains."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1:
                # a killed process is a zombie before its last thread is gone, and holds its ports until then
                return cls(pid=pid, started=process.create_time())
        return None

    @property
    def program(self) -> str:
        """The program's name, as the kernel keeps it; empty once the process is gone."""
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).name()
        return ""

    @property
    def is_alive(self) -> bool:
        with suppress(ChildProcessError):
            waited, status = os.waitpid(self.pid, os.WNOHANG)  # a child that ended is gone once waited for
            if waited == self.pid:
                _EXIT_CODES[self.pid] = os.waitstatus_to_exitcode(status)
        now = ProcessIdentity.of(self.pid)
        return now is not None and abs(now.started - self.started) < 1.0

    @property
    def last_words(self) -> str:
        """How it ended, where that is known: to whoever started it."""
        code = _EXIT_CODES.get(self.pid)
        if code is None:
            return "ended"
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless the process is gone."""
        if self.is_alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def stop(self, number: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> None:
        """Ask the process to end, wait `patience` seconds, then kill it and what is left of its session."""
        self.send(number)
        if not await self.ended(patience):
            self.send(signal.SIGKILL)
            await self.ended(5.0)
        for orphan in _session_members(self):
            orphan.send(signal.SIGKILL)

    async def ended(self, patience: float) -> bool:
        deadline = time.monotonic() + patience
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.03 if patience < 60 else 0.25)
        return True


def spawn(command: list[str], environment: Mapping[str, str], log: Path) -> ProcessIdentity:
    """Start a process in a session of its own; its output is appended to `log` (mode 0600).

    `environment` is added to a short list of inherited variables: a part sees no secret that is not its own.
    Raises `StartError` when the program is not there.
    """
    inherited = {name: os.environ[name] for name in INHERITED_VARIABLES if name in os.environ}
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    try:
        pid = os.posix_spawnp(
            command[0],
            command,
            {**inherited, **environment},
            file_actions=actions,
            setsid=True,
            setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGPIPE],
        )
    except OSError as error:
        raise StartError(f"{command[0]} cannot be started: {error.strerror}") from error
    _EXIT_CODES.pop(pid, None)
    return ProcessIdentity.of(pid) or ProcessIdentity(pid=pid, started=0.0)


def python(module: str, *arguments: str) -> list[str]:
    """The command for a module of this checkout (`-P`: never for one of the current directory)."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment() -> dict[str, str]:
    """What `python` needs to find this checkout, and the packages where this process finds them."""
    paths = [str(REPOSITORY_ROOT), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(path for path in paths if path)
    return {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def tail(log: Path, lines: int = 12) -> str:
    """The last lines of a log, or a word on why there are none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16_384))
            written = file.read().decode(errors="replace").splitlines()
    except FileNotFoundError:
        return "(no log was written)"
    return "\n".join(written[-lines:]) or "(the log is empty)"


def _session_members(leader: ProcessIdentity) -> Iterable[ProcessIdentity]:
    """Processes left in a stopped leader's session."""
    for process in psutil.process_iter():
        with suppress(ProcessLookupError, psutil.NoSuchProcess, PermissionError):
            if os.getsid(process.pid) == leader.pid and process.pid != leader.pid:
                identity = ProcessIdentity.of(process.pid)
                if identity is not None and identity.started >= leader.started - 1.0:
                    yield identity
