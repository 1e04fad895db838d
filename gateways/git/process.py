"""git as a bounded process of the worker's own.

What it reads may be hostile: a repository on GitHub, or what a sandbox made.  So every git has limits of
memory, file size, processor time and wall time, sees no configuration but ours and no environment but a few
words, runs no hook, and speaks HTTP only.  A worker that is root runs it as a user of its own; another one,
where the kernel lets it, in a user and process namespace, from which it cannot look into the worker; else it
runs as the worker does.

A token goes into the environment of the one process that needs it, never into its arguments.
"""

import asyncio
import base64
import errno
import os
import re
import shutil
import signal
import subprocess
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from gateways.errors import UpstreamFailed
from kit.logs import logger

log = logger(__name__)

GIT_UID: Final = 64_321
"""The user that git runs as when the worker is root: a number that no account and no other service has."""
MIN_VERSION: Final = (2, 38)
"""`merge-tree --write-tree` came with it."""
TIMED_OUT: Final = 124
MAX_OUTPUT_BYTES: Final = 64_000_000
MAX_ERROR_BYTES: Final = 20_000
CHUNK_BYTES: Final = 1 << 18
MAX_CONCURRENT_PROCESSES: Final = 16
"""Processes of git that one worker runs at a time; the others wait for their turn."""

_LAUNCH: Final = (
    'ulimit -c 0; ulimit -v "$1"; ulimit -f "$2"; ulimit -t "$3"; ulimit -n "$4"; shift 4; exec git "$@"'
)
_CONFIG: Final = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.bigFileThreshold": "16m",
    "core.packedGitWindowSize": "32m",
    "core.packedGitLimit": "256m",
    "core.quotePath": "false",
    "credential.helper": "",
    "fetch.unpackLimit": "1",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "pack.threads": "2",
    "pack.windowMemory": "64m",
    "protocol.version": "2",
}
_NO_ROOM: Final = re.compile(r"^(?!remote:).*(No space left on device|Disk quota exceeded)", re.MULTILINE)
"""What git says of our own disk; the server's may be full, too."""
_INHERITED: Final = (
    "https_proxy",
    "HTTPS_PROXY",
    "http_proxy",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
)
"""How the network is reached, which only the host knows."""


class DiskFull(UpstreamFailed):
    """There is no room left on the disk of this host's cache for git."""

    def __init__(self) -> None:
        super().__init__(
            "The disk of the cache for git is full: give GIT_CACHE_DIR more room, or lower GIT_CACHE_BYTES."
        )


class GitUnusable(RuntimeError):
    """This host cannot run git as it is needed; the message says what to do about it."""


@contextmanager
def raise_disk_full() -> Iterator[None]:
    """Raises `DiskFull` for what Python says when there is no room."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull from error
        raise


@dataclass(frozen=True)
class Limits:
    """What one process may use; wall time is the caller's."""

    memory_bytes: int = 2_000_000_000
    """Of addresses; packs are mapped in windows, so that this does not bound a repository's size."""
    file_bytes: int = 20_000_000_000
    cpu_seconds: int = 1_800
    open_files: int = 512

    @property
    def ulimit_arguments(self) -> tuple[str, ...]:
        """As `ulimit` takes them: kilobytes, blocks of 512 bytes, seconds, files."""
        bounds = (self.memory_bytes // 1024, self.file_bytes // 512, self.cpu_seconds, self.open_files)
        return tuple(map(str, bounds))


@dataclass(frozen=True)
class Completed:
    """A git that ended; `exit_code` is `TIMED_OUT` when its wall time was over."""

    exit_code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Isolation:
    """Who git runs as."""

    name: str
    """`own user`, `own namespace` or `none`."""
    prefix: tuple[str, ...]
    uid: int | None
    """Whom its directories have to belong to, where that is not the worker itself."""


@lru_cache(maxsize=1)
def isolation() -> Isolation:
    """The best that this host allows, found out once."""
    if os.geteuid() == 0:
        if (setpriv := shutil.which("setpriv")) is None:
            raise GitUnusable(
                "setpriv (util-linux) is missing: install it, or run the worker as another user."
            )
        identity = (f"--reuid={GIT_UID}", f"--regid={GIT_UID}", "--clear-groups")
        powerless = ("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "--pdeathsig", "KILL")
        return Isolation("own user", (setpriv, *identity, *powerless, "--"), GIT_UID)
    if (unshare := shutil.which("unshare")) is not None:
        apart = ("--user", "--map-current-user", "--pid", "--fork", "--kill-child", "--mount-proc", "--")
        tried = subprocess.run([unshare, *apart, "true"], capture_output=True, check=False)
        if tried.returncode == 0:
            return Isolation("own namespace", (unshare, *apart), None)
    return Isolation("none", (), None)


def check_version() -> str:
    """git's version.  Raises `GitUnusable` when there is none, or one that is too old."""
    wanted = ".".join(map(str, MIN_VERSION))
    try:
        said = subprocess.run(["git", "version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        raise GitUnusable(f"git is missing: install git {wanted} or later where the worker runs.") from None
    found = re.search(r"(\d+)\.(\d+)\S*", said)
    if found is None or (int(found[1]), int(found[2])) < MIN_VERSION:
        raise GitUnusable(f"{said.strip() or 'git'} is too old: install git {wanted} or later.")
    return found[0]


def token_config(url: str, token: str) -> dict[str, str]:
    """The configuration that shows a token to one address and to no other."""
    basic = base64.b64encode(f"x-access-token:{token}".encode()).decode()
    return {f"http.{url}.extraHeader": f"Authorization: Basic {basic}"}


class Git:
    """Runs git.  One a process, as it keeps count of what runs at once."""

    def __init__(self) -> None:
        self.isolation = isolation()
        self._slots = asyncio.Semaphore(MAX_CONCURRENT_PROCESSES)

    def give_ownership(self, path: Path) -> None:
        """Let git write to a file or directory of ours."""
        if self.isolation.uid is not None:
            os.chown(path, self.isolation.uid, self.isolation.uid)

    async def run(
        self,
        *arguments: str,
        directory: Path,
        seconds: float,
        stdin: bytes | IO[bytes] = b"",
        stdout: IO[bytes] | None = None,
        config: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        limits: Limits = Limits(),
    ) -> Completed:
        """Run it to its end; what it fails of is a value.  Cancelled or too slow, all of it is killed.

        stdin: what it reads, or a file to read from.  stdout: a file to write to, in place of the result's.
        config: beside ours, for instance `token_config`.  Raises `UpstreamFailed` for too much output, and
        `DiskFull`.
        """
        async with self._start(arguments, directory, stdin, stdout, config, environment, limits) as process:
            try:
                async with asyncio.timeout(seconds):
                    output, errors = await asyncio.gather(
                        _read_all(process.stdout), _read_tail(process.stderr)
                    )
                    code = await process.wait()
            except TimeoutError:
                return Completed(TIMED_OUT, b"", f"it was stopped after {seconds:.0f} seconds")
        if code != 0 and _NO_ROOM.search(errors):
            raise DiskFull
        return Completed(code, output, errors)

    async def stream(
        self,
        *arguments: str,
        directory: Path,
        seconds: float,
        stdin: bytes | IO[bytes] = b"",
        environment: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[bytes]:
        """What it prints, piece by piece.  Raises `UpstreamFailed` at the end when it failed."""
        started = self._start(arguments, directory, stdin, None, None, environment, Limits(), complains=False)
        async with started as process:
            assert process.stdout is not None
            async with asyncio.timeout(seconds):
                while piece := await process.stdout.read(CHUNK_BYTES):
                    yield piece
                if (code := await process.wait()) != 0:
                    raise UpstreamFailed(f"git {arguments[0]} failed with exit code {code}.")

    @asynccontextmanager
    async def _start(
        self,
        arguments: Sequence[str],
        directory: Path,
        stdin: bytes | IO[bytes],
        stdout: IO[bytes] | None,
        config: Mapping[str, str] | None,
        environment: Mapping[str, str] | None,
        limits: Limits,
        *,
        complains: bool = True,
    ) -> AsyncIterator[asyncio.subprocess.Process]:
        launch = (
            "/bin/sh",
            "-c",
            _LAUNCH,
            "git",
            *limits.ulimit_arguments,
            f"--git-dir={directory}",
            *arguments,
        )
        async with self._slots:
            with _open(stdin) as source:
                process = await asyncio.create_subprocess_exec(
                    *self.isolation.prefix,
                    *launch,
                    stdin=source,
                    stdout=asyncio.subprocess.PIPE if stdout is None else stdout,
                    stderr=asyncio.subprocess.PIPE if complains else asyncio.subprocess.DEVNULL,
                    cwd="/",
                    env=_environment(config or {}, environment or {}),
                    start_new_session=True,
                    limit=CHUNK_BYTES,
                )
            try:
                yield process
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await asyncio.shield(process.wait())


def _environment(config: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    whole = {**_CONFIG, **config}
    told = {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "PATH": os.environ.get("PATH", "/usr/local/bin:/usr/bin:/bin"),
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "http:https",
        "GIT_CONFIG_COUNT": str(len(whole)),
        **more,
    }
    for number, (key, value) in enumerate(whole.items()):
        told |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return told


def _open(data: bytes | IO[bytes]) -> IO[bytes]:
    """A file to read from, as a process may end before it has read all of a pipe."""
    if not isinstance(data, bytes):
        return data
    file = TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(data)
    file.seek(0)
    return file


async def _read_all(stream: asyncio.StreamReader | None) -> bytes:
    data = bytearray()
    while stream is not None and (piece := await stream.read(CHUNK_BYTES)):
        data += piece
        if len(data) > MAX_OUTPUT_BYTES:
            raise UpstreamFailed("git said more than anybody could use.")
    return bytes(data)


async def _read_tail(stream: asyncio.StreamReader | None) -> str:
    data = b""
    while stream is not None and (piece := await stream.read(CHUNK_BYTES)):
        data = (data + piece)[-MAX_ERROR_BYTES:]
    return data.decode("utf-8", "replace")
