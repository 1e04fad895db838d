"""Other versions of this program: copies of its source with changed workflows, and workers that run them."""

import shutil
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from local.stack.process import REPOSITORY_ROOT, ProcessIdentity, spawn
from tests.support.installation import Installation, wait_until
from worker.deployment import PACKAGES

START: Final = "from worker.main import main; main()"
WITHOUT_WORKFLOW_CACHE: Final = """
from functools import partial

Worker = partial(Worker, max_cached_workflows=0)
"""
"""Appended to the worker: it remembers no workflow, so that any version may get each of its tasks."""
SLEEP_BEFORE_CALLS: Final = """
_run_local, _run_with_provider_waits = run_local, run_with_provider_waits


async def _rest(name):
    if {condition}:
        await workflow.sleep(0.01)


async def run_local(activity, arg):
    await _rest(activity.__name__)
    return await _run_local(activity, arg)


async def run_with_provider_waits(job_id, activity, arg, *rest, **named):
    await _rest(activity.__name__)
    return await _run_with_provider_waits(job_id, activity, arg, *rest, **named)
"""
"""Appended to how workflows call activities: every one of them sleeps before each call."""
PATCH_VERSION: Final = "99.0.0"
PATCHED: Final = SLEEP_BEFORE_CALLS.format(
    condition=f'workflow.patched(f"{PATCH_VERSION}/rest-before-{{name}}")'
)
UNPATCHED: Final = SLEEP_BEFORE_CALLS.format(condition="True")


@dataclass(frozen=True)
class Checkout:
    """A version's source, and the name by which histories know it."""

    build: str
    directory: Path

    async def start_worker(self, site: Installation, **environment: str) -> ProcessIdentity:
        """A worker of this version, once it is ready."""
        log = site.directory / f"{self.build}-{len(site.workers)}.log"
        told = site.parts.environment(site.name)
        path = f"{self.directory}:{told['PYTHONPATH']}"
        own = {"PYTHONPATH": path, "CODECOURIER_BUILD": self.build, "AGENTS_GRACE_SECONDS": "60"}
        command = [sys.executable, "-P", "-c", START, str(self.directory)]  # so that it is known by its name
        worker = spawn(command, {**told, **own, **environment}, log)
        site.workers.append(worker)

        async def is_ready() -> bool:
            assert worker.is_alive, log.read_text()
            return "the worker is ready" in log.read_text()

        await wait_until(is_ready, f"a worker of {self.build} is ready", 600)
        return worker


def check_out(build: str, directory: Path, calls: str = "") -> Checkout:
    """A copy of the source as it is, with `calls` appended to how workflows call activities."""
    for package in PACKAGES:
        shutil.copytree(
            REPOSITORY_ROOT / package,
            directory / package,
            ignore=shutil.ignore_patterns("__pycache__"),
            dirs_exist_ok=True,
        )
    with (directory / "workflows" / "activity_calls.py").open("a") as file:
        file.write(calls)
    with (directory / "worker" / "main.py").open("a") as file:
        file.write(WITHOUT_WORKFLOW_CACHE)
    return Checkout(build, directory)


async def replace(
    site: Installation, old: ProcessIdentity, new: Checkout, **environment: str
) -> ProcessIdentity:
    """A worker of another version instead of this one, with a moment of both: a rolling deploy."""
    worker = await new.start_worker(site, **environment)
    old.send(signal.SIGTERM)
    assert await old.ended(600)
    return worker
