"""The packaged PostgreSQL under our launcher: it keeps its data whatever is killed."""

import os
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import psycopg
import pytest

from local.stack.ports import free_ports
from local.stack.postgres import Postgres
from local.stack.process import ProcessIdentity, StartError
from tests.support.waiting import TEST_TIMEOUT_SECONDS


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """Under a directory that only its owner can enter, as pytest makes them."""
    (tmp_path / "logs").mkdir()
    server = Postgres(tmp_path / "postgres", free_ports(1)[0], tmp_path / "logs" / "postgres.log")
    yield server
    await server.stop()
    assert server.running() is None


async def ask(server: Postgres, statement: str) -> object:
    async with await psycopg.AsyncConnection.connect(server.url, autocommit=True) as connection:
        answer = await connection.execute(statement.encode())
        row = await answer.fetchone() if answer.description else None
        return row[0] if row else None


async def test_keeps_its_data_through_a_stop_and_a_kill(postgres: Postgres) -> None:
    first = await postgres.start()
    await ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert await postgres.start() == first, "starting a running server finds it"

    os.kill(first.pid, signal.SIGKILL)
    second = await postgres.start()
    assert second != first
    assert await ask(postgres, "SELECT answer FROM kept") == 42

    await postgres.stop()
    assert postgres.running() is None
    await postgres.start()
    assert await ask(postgres, "SELECT answer FROM kept") == 42


async def test_is_durable_private_and_not_root(postgres: Postgres) -> None:
    identity = await postgres.start()
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await ask(postgres, f"SHOW {setting}") == "on"
    assert await ask(postgres, "SHOW unix_socket_directories") == ""
    assert await ask(postgres, "SHOW listen_addresses") == "127.0.0.1"
    assert (
        await ask(postgres, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'")
        == 0
    )
    process = psutil.Process(identity.pid)
    assert process.uids().effective != 0
    assert postgres.password not in " ".join(process.cmdline())
    assert postgres.password not in postgres.log.read_text()
    password_file = postgres.log.parent.parent / "postgres" / "password"
    assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(postgres.url.replace(postgres.password, "wrong"))


async def test_a_stale_pid_file_with_a_living_stranger_s_number_is_no_obstacle(postgres: Postgres) -> None:
    first = await postgres.start()
    [pid_file] = postgres.log.parent.parent.glob("postgres/**/postmaster.pid")
    lines = pid_file.read_text().splitlines()
    os.kill(first.pid, signal.SIGKILL)
    assert await first.ended(TEST_TIMEOUT_SECONDS)
    pid_file.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    assert postgres.running() is None
    await postgres.start()
    assert await ask(postgres, "SELECT 1") == 1
    assert ProcessIdentity.of(os.getpid()) is not None


async def test_a_taken_port_is_reported_with_the_log(postgres: Postgres, tmp_path: Path) -> None:
    await postgres.start()
    other = Postgres(tmp_path / "other", postgres.port, tmp_path / "logs" / "other.log")
    with pytest.raises(
        StartError,
        match=r"(?s)PostgreSQL ended while starting; the end of .*other.log.*Address already in use",
    ):
        await other.start()
