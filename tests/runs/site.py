"""An installation of the product: a database, a Temporal namespace, and workers that can be killed.

Sites share the servers and disturb each other in nothing, so a worker of one can die while others go on.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.starting import RunInput, start_run
from gateways.sandboxes import Sandboxes
from kit.crypto import Vault
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from local.forge.seed import seed
from local.process import Identity
from models import Blueprint, Event, FollowUp, Member, Project, Run
from models.blueprint import BlueprintConfig, PipelineStep
from models.event import EventType
from models.persona import StepRole
from models.run_start import RunStart, create_run
from tests.runs.parts import Parts
from workflows.run import RunWorkflow

OWNER = "org"
WORK = (PipelineStep(role=StepRole.designer, label="Work"),)
FILES = {"greet.py": "print('hi')\n"}
T = TypeVar("T", bound=SQLModel)


@dataclass
class Site:
    name: str
    parts: Parts
    settings: Settings
    database: Database
    client: Client
    directory: Path
    workers: list[Identity] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.directory / "worker.log"

    @property
    def sandboxes(self) -> Sandboxes:
        key = SecretStr("") if self.settings.e2b_api_key is None else self.settings.e2b_api_key
        return Sandboxes(
            key.get_secret_value(),
            api_url=self.settings.e2b_api_url,
            sandbox_url=self.settings.e2b_sandbox_url,
            owner=self.settings.sandbox_owner,
        )

    async def start_worker(self, **environment: str) -> Identity:
        """A worker as a process of its own; it need not be ready for runs to be started."""
        told = {**self.parts.environment(self.name), "TRAPS": str(self.directory), **environment}
        worker = await self.parts.zygote.worker(told, self.log)
        self.workers.append(worker)
        return worker

    def set_trap(self, seam: str, what: Literal["kill", "hold"] = "kill") -> None:
        """Where the worker is killed, or held until `release`; once."""
        (self.directory / f"{seam}.{what}").touch()

    def is_sprung(self, seam: str) -> bool:
        return (self.directory / f"{seam}.sprung").exists()

    async def sprung(self, seam: str) -> None:
        await eventually(lambda: _true(self.is_sprung(seam)), f"the worker comes to {seam}")

    def release(self, seam: str) -> None:
        (self.directory / f"{seam}.released").touch()

    async def project(self, secrets: Mapping[str, str] | None = None, **fields: object) -> Project:
        """A project with one member; `secrets`: its secret environment variables."""
        vault = Vault(self.settings.encryption_keys.get_secret_value())
        sealed = {
            name: {"value": vault.seal(value), "isSecret": True} for name, value in (secrets or {}).items()
        }
        project = Project(name="Test", slug=uuid4().hex, env_vars=sealed)
        for name, value in fields.items():
            setattr(project, name, value)
        async with self.database.transaction() as session:
            session.add(project)
            await session.flush()
            session.add(Member(project_id=project.id, email="dev@example.com", name="Dev"))
        return project

    async def repository(self, files: Mapping[str, str] = FILES) -> str:
        """A new repository; its slug."""
        name = f"repo-{uuid4().hex[:12]}"
        await seed(self.parts.forge_data, OWNER, name, files)
        return f"{OWNER}/{name}"

    def blueprint(
        self, project_id: str, steps: Sequence[PipelineStep] = WORK, config: BlueprintConfig | None = None
    ) -> Blueprint:
        """One of the project, not yet added."""
        return Blueprint(
            project_id=project_id,
            name="Test",
            pipeline_steps=[step.model_dump(mode="json", by_alias=True) for step in steps],
            config=(config or BlueprintConfig()).model_dump(mode="json", by_alias=True),
        )

    async def accept(
        self,
        prompt: str,
        steps: Sequence[PipelineStep] = WORK,
        *,
        project: Project | None = None,
        repository: str | None = None,
        config: BlueprintConfig | None = None,
    ) -> Run:
        """A pending run, as the API leaves it when it is killed between its commit and the start.

        Every prompt is made unique, as the scripted model counts the failures it gave by conversation.
        """
        project = project or await self.project()
        slug = repository or await self.repository()
        async with self.database.transaction() as session:
            blueprint = self.blueprint(project.id, steps, config)
            session.add(blueprint)
            await session.flush()
            return await create_run(
                session,
                project_id=project.id,
                request=RunStart(workflow_id=blueprint.id, prompt=f"{prompt}\n\n{new_id('test')}"),
                repository_slug=slug,
                repository_url=f"{self.settings.github_url}/{slug}",
                default_model=self.settings.default_model,
            )

    async def start(
        self,
        prompt: str,
        steps: Sequence[PipelineStep] = WORK,
        *,
        project: Project | None = None,
        repository: str | None = None,
        config: BlueprintConfig | None = None,
    ) -> Run:
        run = await self.accept(prompt, steps, project=project, repository=repository, config=config)
        return await self.send(run)

    async def send(self, run: Run) -> Run:
        """Start the workflow of an accepted run."""
        await start_run(self.client, RunInput.of(run))
        return run

    async def tell(self, run: Run, words: str) -> None:
        """A message of the client to a live run, as the API passes it on."""
        message = FollowUp(project_id=run.project_id, run_id=run.id, content=words)
        async with self.database.transaction() as session:
            session.add(message)
        await self.client.get_workflow_handle(run.id).execute_update("follow_up", message.id)

    async def command(self, run: Run, name: Literal["pause", "resume", "graceful_stop"]) -> None:
        """A command to a live run; WorkflowUpdateFailedError when it refuses."""
        await self.client.get_workflow_handle(run.id).execute_update(name)

    async def add(self, *rows: SQLModel) -> None:
        async with self.database.transaction() as session:
            for row in rows:
                session.add(row)
                await session.flush()

    def handle(self, run: Run) -> WorkflowHandle[RunWorkflow, str]:
        return self.client.get_workflow_handle_for(RunWorkflow.run, run.id)

    async def read(self, run: Run) -> Run:
        async with self.database.transaction() as session:
            return await session.get_one(Run, run.id)

    async def events(self, run: Run) -> list[Event]:
        return await self.rows(Event, col(Event.subject_id) == run.id, col(Event.seq))

    async def rows(
        self, table: type[T], where: ColumnElement[bool], order: Mapped[str] | Mapped[int]
    ) -> list[T]:
        statement = select(table).where(where).order_by(order)
        async with self.database.transaction() as session:
            return list((await session.execute(statement)).scalars())

    async def until(self, run: Run, type: EventType, *, count: int = 1, patience: float = 30) -> Event:
        """The event of the run that is the `count`-th of its type."""
        found: list[Event] = []

        async def happened() -> bool:
            of_run = (col(Event.subject_id) == run.id) & (col(Event.type) == type)
            found[:] = await self.rows(Event, of_run, col(Event.seq))
            return len(found) >= count

        await eventually(happened, f"{type} of run {run.id}", patience)
        return found[count - 1]

    async def ended(self, run: Run, patience: float = 90) -> Run:
        """The run once its workflow is over; while the engine is away, or has no such workflow, it waits."""
        async with asyncio.timeout(patience):
            while True:
                with suppress(RPCError):
                    await self.handle(run).result()
                    return await self.read(run)
                await asyncio.sleep(0.2)


@asynccontextmanager
async def opened(parts: Parts, name: str, directory: Path) -> AsyncIterator[Site]:
    """A new site without a worker; its workers are killed at the end."""
    directory.mkdir(parents=True)
    await parts.found(name)
    environment = parts.environment(name)
    fields = {key: environment[key.upper()] for key in Settings.model_fields if key.upper() in environment}
    settings = Settings.model_validate(fields)
    database = Database(settings.sqlalchemy_url, pool_size=4)
    site = Site(name, parts, settings, database, await connect(settings), directory)
    try:
        yield site
    finally:
        await asyncio.gather(*(worker.stop(signal.SIGKILL, 5) for worker in site.workers))
        await database.close()


async def eventually(happens: Callable[[], Awaitable[bool]], what: str, patience: float = 30) -> None:
    """Wait until it happens; AssertionError when that takes longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while not await happens():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        await asyncio.sleep(0.1)


async def _true(value: bool) -> bool:
    return value
