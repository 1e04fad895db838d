"""python -m local.sandboxes --host 127.0.0.1 --port 3100 --data DIR [--allow 127.0.0.1:3200 ...]

The API key comes in the environment variable E2B_API_KEY. The server is ready when GET /health answers 204.
"""

import argparse
import asyncio
import contextlib
import fcntl
import logging
import os
import resource
import signal
import sys
import termios
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import NoReturn

import uvicorn
from starlette.applications import Starlette

from local.sandboxes.control_plane import ApiKey, ControlPlane
from local.sandboxes.data_plane import DataPlane
from local.sandboxes.fleet import Fleet
from local.sandboxes.isolation import cgroups, runtime, self_test
from local.sandboxes.limits.disk import COUNT_TIMEOUT_SECONDS, DiskWatch
from local.sandboxes.limits.memory import enforce_memory_limits
from local.sandboxes.limits.size import DISK_MB
from local.sandboxes.network.egress import LOOPBACK
from local.sandboxes.sandbox import SandboxDefaults

log = logging.getLogger("local.sandboxes")


def allowed_port(text: str) -> int:
    """The port of `127.0.0.1:PORT`; ports below 1024 cannot be opened by the user inside."""
    host, _, port = text.rpartition(":")
    if host not in (LOOPBACK, "localhost") or not port.isdecimal() or not 1024 <= int(port) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not {LOOPBACK}:PORT with a port from 1024 to 65535")
    return int(port)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.sandboxes", description="E2B's protocol over bubblewrap."
    )
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="where sandboxes live; made if missing")
    parser.add_argument("--allow", type=allowed_port, action="append", default=[], metavar="127.0.0.1:PORT")
    parser.add_argument("--disk-mb", type=int, default=DISK_MB, help="what each sandbox may keep on the disk")
    parser.add_argument(
        "--disk-look-seconds",
        type=int,
        default=COUNT_TIMEOUT_SECONDS,
        help="how long counting the files of one sandbox may take; a slow disk needs more",
    )
    return parser.parse_args()


def lock_data_directory(data: Path) -> int:
    """Change into the data directory and hold its lock; returns its descriptor. Exits if it is taken."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chdir(data)
    os.chmod(".", 0o700)
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{data}: another sandbox server uses this directory; stop it or give another --data")
    return lock


def detach_terminal() -> None:
    """Give up the terminal this was started from: a program in a sandbox could type into it."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return  # there is none
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # sent to a session whose leader does this
    fcntl.ioctl(terminal, termios.TIOCNOTTY)
    signal.signal(signal.SIGHUP, before)
    os.close(terminal)


def app(fleet: Fleet, api_key: str, disk: DiskWatch, *, limits_memory: bool) -> DataPlane:
    """`limits_memory`: whether control groups do."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await fleet.restore()
        watches = [_start_watch("clock", fleet.watch_the_clock()), _start_watch("disk", disk.run())]
        if not limits_memory:
            watches.append(_start_watch("memory", enforce_memory_limits(fleet.boxes)))
        try:
            yield
        finally:
            for watch in watches:
                watch.cancel()
            await fleet.halt()

    return DataPlane(ApiKey(ControlPlane(fleet).app(lifespan), api_key), fleet)


def _start_watch(name: str, watching: Coroutine[object, object, NoReturn]) -> asyncio.Task[NoReturn]:
    """A watch at work, which has no end but a fault of ours."""
    task = asyncio.create_task(watching, name=f"the watch on the {name}")
    task.add_done_callback(_log_watch_failure)
    return task


def _log_watch_failure(watch: asyncio.Task[NoReturn]) -> None:
    if not watch.cancelled():
        log.critical("%s has failed: restart the server", watch.get_name(), exc_info=watch.exception())


def main() -> None:
    options = parse_arguments()
    api_key = os.environ.pop("E2B_API_KEY", "")
    if not api_key:
        sys.exit("E2B_API_KEY is not set: give the API key that clients of this server will use")
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    detach_terminal()
    lock_data_directory(options.data)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # a few per sandbox and two per connection
    runtime.prepare()
    try:
        self_test.run()
    except self_test.IsolationUnavailable as error:
        sys.exit(str(error))
    groups = cgroups.find_parent()
    log.info(
        "limits of sandboxes: %s",
        f"control groups below {groups}"
        if groups
        else "no control group is writable: by process, and a watch",
    )
    fleet = Fleet(SandboxDefaults(options.allow, options.disk_mb, groups))
    disk = DiskWatch(fleet.boxes, options.disk_look_seconds)
    uvicorn.run(
        app(fleet, api_key, disk, limits_memory=groups is not None),
        host=options.host,
        port=options.port,
        loop="asyncio",
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=600,  # E2B's client keeps connections for 300 s: it meets none just closed
        timeout_graceful_shutdown=1,
    )


main()
