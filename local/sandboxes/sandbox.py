"""One sandbox: booting, halting, freezing and deleting its processes. A lock keeps these one at a time."""

import asyncio
import json
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx

from local.sandboxes.envd.config import EnvdConfig
from local.sandboxes.faults import Faults
from local.sandboxes.isolation import bwrap, processes
from local.sandboxes.isolation.cgroups import ControlGroup
from local.sandboxes.isolation.runtime import HOME, USER
from local.sandboxes.limits.size import DISK_MB, size_of
from local.sandboxes.network.egress import Egress
from local.sandboxes.network.refusals import RefusalCounter
from local.sandboxes.records import Record, copy_tree, remove_tree

_BOOT_TIMEOUT = 60.0
_BOOT_SLOTS = asyncio.Semaphore(2 * (os.cpu_count() or 1))  # more at once only make each of them slower


class BootFailed(Exception):
    """The sandbox could not be started; the message ends with the last words of its log."""


class SandboxGone(Exception):
    """The sandbox is paused or was deleted."""


@dataclass(frozen=True)
class SandboxDefaults:
    """What all boxes of a server share."""

    ports: Sequence[int] = ()
    """The host's loopback ports that are reachable from inside."""
    disk_mb: int = DISK_MB
    groups: Path | None = None
    """Where control groups are made; None where the host has none to give."""


class Sandbox:
    """A record brought to life."""

    def __init__(self, record: Record, house: SandboxDefaults) -> None:
        self.record = record
        self.size = size_of(record.metadata, house.disk_mb)
        self.faults = Faults()
        self.refusals = RefusalCounter()
        self._ports = house.ports
        self._group = ControlGroup(house.groups, record.sandbox_id) if house.groups else None
        self._lock = asyncio.Lock()
        self._deleted = False
        self._process: asyncio.subprocess.Process | None = None
        self._egress: Egress | None = None
        self._transport: httpx.AsyncHTTPTransport | None = None

    def furnish(self) -> None:
        """Make the files of a new sandbox."""
        self.record.directory.mkdir(mode=0o700, parents=True)
        for name in ("home", "tmp"):
            directory = self.record.directory / name
            directory.mkdir()
            directory.chmod(0o755)
            if os.geteuid() == 0:
                os.chown(directory, self.record.uid, self.record.uid)
        self.record.save()

    async def transport(self) -> httpx.AsyncHTTPTransport:
        """The way to envd; boots it where it is not running: after a restart, or when it was killed inside.

        Raises Gone and BootFailed.
        """
        if self._transport is None or not self._alive():
            async with self._lock:
                if self._deleted or self.record.state != "running":
                    raise SandboxGone
                if self._transport is None or not self._alive():
                    await self._halt()
                    await self._boot()
        if self._transport is None:
            raise SandboxGone
        return self._transport

    async def lost(self, transport: httpx.AsyncHTTPTransport) -> None:
        """Nobody listens behind this transport any more: end what is left, so that the next one boots."""
        async with self._lock:
            if self._transport is transport:
                await self._halt()

    async def pause(self, *, memory: bool) -> bool:
        """Stop the processes where they stand, or end them and keep the files. False if paused already."""
        async with self._lock:
            if self._deleted:
                raise SandboxGone
            if self.record.state == "paused":
                return False
            self.record.state = "paused"
            self.record.save()
            await self._disconnect()
            if memory and self._process is not None and self._alive():
                processes.freeze(self._process)
            else:
                await self._halt()
            return True

    async def resume(self, *, memory: bool) -> bool:
        """Let stopped processes go on, or leave the boot to the next request. False if running already."""
        async with self._lock:
            if self._deleted:
                raise SandboxGone
            if self.record.state == "running":
                return False
            self.record.state = "running"
            if self._earlier.exists():
                await self._halt()
                await self._forget()
            elif memory and self._process is not None and self._alive():
                processes.thaw(self._process)
                self._connect()
            else:
                await self._halt()
            return True

    async def remember(self) -> None:
        """Keep the files as they are now: its next resume finds these and no later ones."""
        async with self._lock:
            if self._deleted:
                raise SandboxGone
            await copy_tree(self.record.directory / "home", self._earlier)

    async def cut(self) -> None:
        """Cut what streams from and to the sandbox; its processes go on."""
        async with self._lock:
            if self._transport is not None:
                await self._disconnect()
                self._connect()

    async def halt(self) -> None:
        """End every process of the sandbox; its record and files stay."""
        async with self._lock:
            await self._halt()

    async def delete(self) -> None:
        """End every process and delete the files, whatever modes they were given inside."""
        async with self._lock:
            if not self._deleted:
                self._deleted = True
                await self._halt()
                await remove_tree(self.record.discard())
                if self._group is not None:
                    self._group.remove()

    @property
    def pid(self) -> int | None:
        """Of bwrap, from which all processes of the sandbox come; None while none run."""
        return self._process.pid if self._process is not None and self._alive() else None

    @property
    def _earlier(self) -> Path:
        return self.record.directory / "home.earlier"

    async def _forget(self) -> None:
        await remove_tree(self.record.directory / "home")
        self._earlier.rename(self.record.directory / "home")

    def _alive(self) -> bool:
        return processes.is_running(self._process)

    async def _boot(self) -> None:
        async with _BOOT_SLOTS:
            try:
                async with asyncio.timeout(_BOOT_TIMEOUT):
                    await self._start()
                    await self._ready()
            except (OSError, TimeoutError, httpx.TransportError) as error:
                await self._halt()
                last_words = _tail(self.record.directory / "envd.log")
                raise BootFailed(
                    f"sandbox {self.record.sandbox_id} did not start: {last_words or error!r}"
                ) from error

    async def _start(self) -> None:
        directory = self.record.directory
        self._egress = Egress(self._ports, self.record.reach, self.refusals)
        (directory / "egress.sock").unlink(missing_ok=True)
        await self._egress.listen(directory / "egress.sock")
        # envd's socket is bound out here and inherited, not looked up in a place the sandbox can write to,
        # where a link could lead the gateway to another socket of the host. Requests queue in it until envd
        # is up.
        with _listener(directory / "envd.sock") as listener, (directory / "envd.log").open("wb") as output:
            command = bwrap.command(directory, self.record.uid, self.size)
            if self._group is not None:
                self._group.make(self.size)
                command = self._group.entering(command)
            self._process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=output,
                pass_fds=(listener.fileno(),),
                env={},
            )
            config = EnvdConfig(
                listener=listener.fileno(),
                access_token=self.record.access_token,
                base_envs=_base_envs(self.record.sandbox_id),
                envs=self.record.envs,
                egress_socket=bwrap.EGRESS_SOCKET,
                relays=list(self._ports),
                memory_bytes=self.size.memory_bytes,
                file_bytes=self.size.disk_bytes,
            )
            await _feed(self._process, json.dumps(asdict(config)).encode())
        self._connect()

    async def _ready(self) -> None:
        """Wait until envd answers; its process ending first closes the socket, which fails the request."""
        if self._transport is None:
            raise ConnectionError("not started")
        response = await self._transport.handle_async_request(httpx.Request("GET", "http://envd/health"))
        await response.aread()
        await response.aclose()

    def _connect(self) -> None:
        self._transport = httpx.AsyncHTTPTransport(
            uds=str(self.record.directory / "envd.sock"),
            verify=False,
            limits=httpx.Limits(max_connections=None),
        )

    async def _disconnect(self) -> None:
        """Cut the streams to envd, so that their clients learn that the sandbox is away."""
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()

    async def _halt(self) -> None:
        await self._disconnect()
        if self._egress is not None:
            self._egress.close()
            self._egress = None
        if self._process is not None:
            await processes.kill_all(self._process)
            self._process = None


def _tail(path: Path, size: int = 500) -> str:
    """The last bytes of a log that what runs inside may have made as large as it liked."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - size))
        return file.read(size).decode(errors="replace").strip()


def _listener(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(128)
    return listener


async def _feed(process: asyncio.subprocess.Process, text: bytes) -> None:
    if process.stdin is None:
        raise ConnectionError("no pipe to the sandbox")
    process.stdin.write(text)
    await process.stdin.drain()
    process.stdin.close()


def _base_envs(sandbox_id: str) -> dict[str, str]:
    return {
        "PATH": bwrap.search_path(),
        "HOME": str(HOME),
        "USER": USER,
        "LOGNAME": USER,
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "E2B_SANDBOX": "true",
        "E2B_SANDBOX_ID": sandbox_id,
    }
