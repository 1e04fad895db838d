"""`codecourier api` as a process, before a database of its own that is filled as `bench_api` fills it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from cryptography.fernet import Fernet

from cli.deployment.migrate import upgrade
from local.stack.ports import LOOPBACK, free_ports
from local.stack.postgres import Postgres
from tests.bench.bench_api import seed
from tests.support.checkout import ROOT

RUNS: Final = 100_000


@dataclass(frozen=True)
class Served:
    port: int
    key: str
    """Of project `prj_bench`."""
    database_url: str


@asynccontextmanager
async def served(directory: Path, **environment: str) -> AsyncIterator[Served]:
    """A served API, with these settings besides, until the block ends."""
    server = Postgres(directory / "postgres", free_ports(1)[0], directory / "postgres.log")
    await server.start()
    try:
        await asyncio.to_thread(upgrade, server.url)
        key = await asyncio.to_thread(seed, server.url, RUNS)
        [port] = free_ports(1)
        settings = {
            **os.environ,
            "DATABASE_URL": server.url,
            "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
            "TEMPORAL_ADDRESS": f"{LOOPBACK}:1",
            **environment,
        }
        command = [sys.executable, "-m", "cli.main", "api", "--port", str(port)]
        with (
            (directory / "api.log").open("w") as log,
            subprocess.Popen(command, env=settings, stdout=log, stderr=log, cwd=ROOT) as process,
        ):
            try:
                async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(retries=20)) as http:
                    (await http.get(f"http://{LOOPBACK}:{port}/healthz")).raise_for_status()
                yield Served(port, key, server.url)
            finally:
                process.terminate()
    finally:
        await server.stop()
