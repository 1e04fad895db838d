"""Secrets of the installation, looked for where none may be.

In the processes of sandboxes while the table is played, and afterwards in what Temporal and the other servers
keep.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from local.stack.plan import Plan

KEYS: Final = ("forge_token", "forge_reviewer_token", "anthropic_api_key", "e2b_api_key", "encryption_keys")
IN_SANDBOX: Final = "E2B_SANDBOX"
"""In the environment of whatever a sandbox runs."""
SCAN_INTERVAL_SECONDS: Final = 1.0
"""Seconds from one look into every process to the next."""


def secrets_of(plan: Plan) -> dict[str, bytes]:
    """By name, what the servers' stack keeps secret."""
    return {name: plan.key(name).encode() for name in KEYS}


async def watch_sandboxes(plan: Plan, found: set[str]) -> None:
    """Until cancelled, look into what the processes of all sandboxes were started with."""
    secrets = secrets_of(plan)
    while True:
        found |= set(await asyncio.to_thread(lambda: [*_in_sandboxes(secrets)]))
        await asyncio.sleep(SCAN_INTERVAL_SECONDS)


def _in_sandboxes(secrets: dict[str, bytes]) -> Iterator[str]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            environment = process.environ()
            if IN_SANDBOX not in environment:
                continue
            told = "\0".join([*environment.values(), *process.cmdline()]).encode()
            yield from (
                f"{name} is in the process {process.name()} of a sandbox"
                for name, secret in secrets.items()
                if secret in told
            )


def secrets_stored_by_servers(plan: Plan) -> list[str]:
    """What the servers' logs, and Temporal's database, hold of secrets."""
    files = [*(plan.directory / "logs").glob("*.log"), *(plan.directory / "temporal").iterdir()]
    return [
        f"{name} is in {path.relative_to(plan.directory)}"
        for path in files
        for name, secret in secrets_of(plan).items()
        if secret in Path(path).read_bytes()
    ]
