"""A stage: one installation with an API, workers that are replaced when they die, and links to harm.

Faults ask for work as clients do, over HTTP and with an `Idempotency-Key`, until it is accepted.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final, Literal, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from gateways.errors import GatewayError
from kit.ids import new_id
from local.stack.ports import LOOPBACK, free_ports
from local.stack.process import ProcessIdentity, StartError
from models import Project, Run, Sandbox
from models.runs.run import PrStatus, RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.chaos.network_links import Link, opened_link
from tests.support.installation import FILES, Installation, open_installation
from tests.support.outcomes import Finding, Severity
from tests.support.pull_requests import make_key_headers
from tests.support.scenarios import bash, finish, register_scenario
from tests.support.stack import Servers

Side = Literal["worker", "api"]
Server = Literal["postgres", "temporal", "model", "github", "git", "sandboxes"]
SIDES: Final[tuple[Side, ...]] = ("worker", "api")
T = TypeVar("T")

ADDRESSES: Final[dict[Server, tuple[str, ...]]] = {
    "postgres": ("DATABASE_URL",),
    "temporal": ("TEMPORAL_ADDRESS",),
    "model": ("ANTHROPIC_BASE_URL",),
    "github": ("GITHUB_API_URL",),
    "git": ("GITHUB_URL",),
    "sandboxes": ("E2B_API_URL", "E2B_SANDBOX_URL"),
}
"""The settings that name a server."""
LINKS: Final[dict[Side, tuple[Server, ...]]] = {
    "worker": ("postgres", "temporal", "model", "github", "git", "sandboxes"),
    "api": ("postgres", "temporal"),
}
SMALL = register_scenario("small", bash("echo once >> once.txt"), finish("Wrote once.txt."))
"""What most runs of the table do: one tool call with an effect that shows when it happens twice."""
EFFECT = {"once.txt": "once\n"}
"""The files that a delivered run's branch has besides those of the repository."""
RESTART_DELAY_SECONDS = 0.2
"""Seconds until a dead worker is replaced: the outside is quick, so that the inside is what is tried."""


class Expected(StrEnum):
    """How a job may end although the fault came."""

    delivered = "delivered"
    """Completed, with one pull request that holds the work."""
    honest = "honest"
    """As `delivered`, or in a way that says that it is not: never completed without its work."""
    ended = "ended"
    """In any way that its row and events agree on, as the fault is one that a user has to see."""


@dataclass
class Accepted:
    """A run that the API has accepted."""

    run: Run
    asked_at: float
    """By the clock of this process (s), which no fault steps."""
    effect: Mapping[str, str] = field(default_factory=lambda: EFFECT)
    ended_at: float | None = None
    is_merged: bool = False
    """Whether its pull request is to be merged, too."""

    @property
    def has_ended(self) -> bool:
        is_merging = self.run.pr_status in (PrStatus.created, PrStatus.blocked_on_ci)
        return self.run.is_finished and not (self.is_merged and is_merging)

    @property
    def took(self) -> float | None:
        """Seconds from the request to the end."""
        return None if self.ended_at is None else self.ended_at - self.asked_at


@dataclass
class FaultEnvironment:
    site: Installation
    project: Project
    headers: Mapping[str, str]
    workflow_id: str
    chance: random.Random
    tries: int
    """Jobs that this round is to accept, at least."""
    patience: float
    """Seconds in which nothing happens, after which a job that has not ended counts as lost."""
    scale: float
    """Of the waits that a fault lasts: 1 is as long as in the issue's list; the short table waits less."""
    links: Mapping[tuple[Side, Server], Link]
    api_port: int
    http: httpx.AsyncClient
    accepted: list[Accepted] = field(default_factory=list)
    others: int = 0
    """Jobs of other kinds that were accepted; their fault looks at them itself."""
    findings: list[Finding] = field(default_factory=list)
    """What a fault saw itself that must not be."""
    worker_environment: dict[str, str] = field(default_factory=dict)
    _keeping: list[asyncio.Task[None]] = field(default_factory=list)
    _api: ProcessIdentity | None = None
    _is_ending: bool = False

    # Work

    async def accept(
        self,
        scenario: str = SMALL,
        *,
        key: str | None = None,
        effect: Mapping[str, str] = EFFECT,
        files: Mapping[str, str] = FILES,
        patience: float | None = None,
    ) -> Accepted:
        """Ask for a run until it is accepted; the same request under the same key, as a client does."""
        body, asked_at = await self.request(scenario, files), time.monotonic()
        async with asyncio.timeout(patience or self.patience):
            answer = await self.ask("/api/v1/runs/start", body, key or uuid4().hex)
        async with self.site.database.transaction() as session:
            run = await session.get_one(Run, answer["id"])
        accepted = Accepted(run, asked_at, effect)
        self.accepted.append(accepted)
        return accepted

    async def request(self, scenario: str, files: Mapping[str, str] = FILES) -> dict[str, str]:
        """What asks for a run on a repository of its own, in words that no other run has."""
        repository = await self.site.repository(files)
        return {
            "workflowId": self.workflow_id,
            "prompt": f"Play {scenario}\n\n{new_id('test')}",
            "githubRepoUrl": f"{self.site.settings.github_url}/{repository}",
        }

    async def merge(self, job: Accepted) -> None:
        """Ask for the merge of its pull request; the job has ended when that has."""
        path = f"/api/v1/pull-requests/{job.run.id}/merge"
        await self.ask(path, {}, uuid4().hex)
        job.is_merged, job.ended_at = True, None

    async def adopt(self) -> None:
        """Count the runs that are there although nobody heard that they were accepted."""
        known = {job.run.id for job in self.accepted}
        for run in await self.site.rows(Run, col(Run.project_id) == self.project.id, col(Run.id)):
            if run.id not in known:
                self.accepted.append(Accepted(run, time.monotonic()))

    def found(self, harm: Severity, words: str) -> None:
        """Note what the fault itself saw that must not be."""
        self.findings.append(Finding(harm, words))

    async def ask(self, path: str, body: object, key: str) -> dict[str, str]:
        """POST until it is answered well; ValueError when the request itself is refused."""
        while True:
            with suppress(httpx.TransportError):
                headers = {**self.headers, "Idempotency-Key": key}
                answer = await self.http.post(path, json=body, headers=headers)
                if answer.is_success:
                    data: dict[str, str] = answer.json()["data"]
                    return data
                if answer.status_code < 500 and not answer.json()["error"]["retryable"]:
                    raise ValueError(f"{path}: {answer.status_code}: {answer.text}")
            await asyncio.sleep(0.2)

    async def accept_all(self, scenario: str = SMALL, *, effect: Mapping[str, str] = EFFECT) -> None:
        """As many runs as the round is to have, at the same time."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self.tries):
                group.create_task(self.accept(scenario, effect=effect))

    def spread(self, variants: Sequence[T]) -> list[T]:
        """A variant for each try: all of them where there are enough tries, else some, by chance."""
        shuffled = self.chance.sample(list(variants), len(variants))
        return [shuffled[number % len(shuffled)] for number in range(self.tries)]

    async def settled(self) -> None:
        """Wait until every accepted job has ended and its sandboxes are gone, or nothing happens any more.

        Gone is what the fleet has no more, and what no row says to live: rows are written after the killing.
        """
        await asyncio.gather(*(self.ended(job) for job in self.accepted))
        deadline = time.monotonic() + self.patience
        while await self._has_sandboxes() and time.monotonic() < deadline:
            await asyncio.sleep(0.5)

    async def ended(self, job: Accepted) -> None:
        """Wait until the job's row says that it has ended, or nothing happens to it any more."""
        await self._while_something_happens([job], lambda: job.ended_at is not None)

    async def until(self, happens: Callable[[], bool], what: str) -> None:
        """Wait until it happens; AssertionError when nothing does any more."""
        await self._while_something_happens(self.accepted, happens)
        assert happens(), what

    async def _while_something_happens(self, jobs: Sequence[Accepted], is_enough: Callable[[], bool]) -> None:
        """Wait until it is enough; however slow the machine is: patience is for silence, not for work."""
        seen: list[int] = []
        since = time.monotonic()
        while not is_enough() and time.monotonic() - since < self.patience:
            for job in jobs:
                await self.look(job)
            if (now := [job.run.event_seq for job in jobs]) != seen:
                seen, since = now, time.monotonic()
            await asyncio.sleep(0.2)

    async def look(self, job: Accepted) -> None:
        """Read the job's row, unless PostgreSQL is what is away."""
        if job.ended_at is None:
            with suppress(OSError, SQLAlchemyError):
                job.run = await self.site.read(job.run)
                if job.has_ended:
                    job.ended_at = time.monotonic()

    async def _has_sandboxes(self) -> bool:
        """Whether the fleet or a row has any of this installation, or somebody does not answer."""
        ended = (SandboxStatus.killed, SandboxStatus.error)
        try:
            if await self.site.sandboxes.find({}):
                return True
            return bool(await self.site.rows(Sandbox, col(Sandbox.status).not_in(ended), col(Sandbox.id)))
        except (GatewayError, OSError, SQLAlchemyError):
            return True

    async def wait(self, seconds: float) -> None:
        """Let the fault last for so many of the whole table's seconds."""
        await asyncio.sleep(seconds * self.scale)

    # Processes

    def link(self, side: Side, server: Server) -> Link:
        return self.links[side, server]

    @property
    def worker(self) -> ProcessIdentity:
        """The worker that was started last."""
        return self.site.workers[-1]

    @property
    def workers(self) -> list[ProcessIdentity]:
        return [worker for worker in self.site.workers if worker.is_alive]

    async def start_worker(self, **environment: str) -> ProcessIdentity:
        """One more worker, which nobody replaces."""
        told = {**self.environment("worker"), **self.worker_environment, **environment}
        return await self.site.start_worker(**told)

    def keep_workers(self, count: int) -> None:
        """From now on so many workers are at work: one that dies is replaced."""
        self._keeping += [asyncio.create_task(self._keep_worker()) for _ in range(count)]

    async def stop_keeping(self) -> None:
        """No worker is replaced any more; those at work go on."""
        for task in self._keeping:
            task.cancel()
        await asyncio.gather(*self._keeping, return_exceptions=True)
        self._keeping.clear()

    async def kill_workers(self) -> None:
        """Kill every worker with -9, all at once."""
        for worker in self.workers:
            worker.send(signal.SIGKILL)

    async def _keep_worker(self) -> None:
        while True:
            worker = await self.start_worker()
            while worker.is_alive:
                await asyncio.sleep(RESTART_DELAY_SECONDS)

    def environment(self, side: Side) -> dict[str, str]:
        """The settings of a process whose connections go through this stage's links."""
        given, told = self.site.parts.environment(self.site.name), {}
        for (of, server), link in self.links.items():
            if of != side:
                continue
            for name in ADDRESSES[server]:
                told[name] = address_through(given[name], link)
        return told

    async def keep_api(self) -> None:
        """The API is there, and is started again when it dies."""
        self._api = await self.site.start_api(self.api_port, **self.environment("api"))
        self._keeping.append(asyncio.create_task(self._keep_api()))

    async def _keep_api(self) -> None:
        while True:
            while self._api is not None and self._api.is_alive:
                await asyncio.sleep(RESTART_DELAY_SECONDS)
            with suppress(StartError):
                self._api = await self.site.start_api(self.api_port, **self.environment("api"))

    async def heal(self) -> None:
        """Whatever was broken is well again, for what is left to do."""
        for link in self.links.values():
            link.heal()

    async def close(self) -> None:
        await self.stop_keeping()
        if self._api is not None:
            await self._api.stop(patience=2)


def address_through(address: str, link: Link) -> str:
    """The address of a server, by way of a link."""
    if "//" not in address:
        return f"{LOOPBACK}:{link.door}"
    parts = urlsplit(address)
    secrets, at, _ = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{secrets}{at}{LOOPBACK}:{link.door}").geturl()


def server_address(address: str) -> str:
    return address if "//" in address else f"tcp://{address}"


@asynccontextmanager
async def open_environment(
    parts: Servers,
    name: str,
    directory: Path,
    *,
    chance: random.Random,
    tries: int,
    workers: int,
    patience: float,
    scale: float,
) -> AsyncIterator[FaultEnvironment]:
    """A fresh installation that works, until the block ends."""
    async with AsyncExitStack() as stack:
        site = await stack.enter_async_context(open_installation(parts, name, directory))
        given = parts.environment(name)
        links = {
            (side, server): await stack.enter_async_context(
                opened_link(urlsplit(server_address(given[ADDRESSES[server][0]])))
            )
            for side, servers in LINKS.items()
            for server in servers
        }
        project = await site.project()
        blueprint = site.blueprint(project.id)
        await site.add(blueprint)
        [port] = free_ports(1)
        http = await stack.enter_async_context(
            httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", trust_env=False, timeout=30)
        )
        headers = await make_key_headers(site, project.id)
        stage = FaultEnvironment(
            site, project, headers, blueprint.id, chance, tries, patience, scale, links, port, http
        )
        stack.push_async_callback(stage.close)
        await stage.keep_api()
        stage.keep_workers(workers)
        yield stage


def is_delivered(job: Accepted) -> bool:
    wanted = PrStatus.merged if job.is_merged else PrStatus.created
    return job.run.status is RunStatus.completed and job.run.pr_status is wanted
