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
from typing import Any, Literal, TypeVar
from uuid import uuid4

from pydantic import SecretStr
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.jobs.launch import start_row
from activities.reconcile.admission import bind_namespace
from gateways.sandboxes.control import SandboxProvider
from kit.crypto import Vault
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from kit.tenancy import DatabaseRole
from local.forge.seed import seed
from local.stack.ports import LOOPBACK, free_ports
from local.stack.process import ProcessIdentity
from local.stack.readiness import has_status, wait_for_http
from models import AllowedRepository, Blueprint, Event, FollowUp, Member, Project, Run
from models.base import JsonObject
from models.blueprints.blueprint import BlueprintConfig, PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from models.projects.allowed_repository import EVERY_REPOSITORY
from models.reconcile.installation import get_installation
from models.runs.run_start import RunStart, create_run
from tests.support.sandbox_faults import SandboxFaults
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from workflows.runs.run import RunWorkflow

OWNER = "org"
ONE_DESIGNER_STEP = (PipelineStep(role=StepRole.designer, label="Work"),)
FILES = {"greet.py": "print('hi')\n"}
T = TypeVar("T", bound=SQLModel)


@dataclass
class Installation:
    name: str
    parts: Servers
    settings: Settings
    database: Database
    client: Client
    directory: Path
    installation: str
    workers: list[ProcessIdentity] = field(default_factory=list)

    @property
    def log(self) -> Path:
        return self.directory / "worker.log"

    @property
    def sandboxes(self) -> SandboxProvider:
        key = SecretStr("") if self.settings.e2b_api_key is None else self.settings.e2b_api_key
        return SandboxProvider(
            key.get_secret_value(),
            api_url=self.settings.e2b_api_url,
            sandbox_url=self.settings.e2b_sandbox_url,
            owner=self.installation,
        )

    @property
    def faults(self) -> SandboxFaults:
        """What may befall its sandboxes."""
        assert self.settings.e2b_api_url is not None
        assert self.settings.e2b_api_key is not None
        return SandboxFaults(self.settings.e2b_api_url, self.settings.e2b_api_key.get_secret_value())

    async def start_worker(self, **environment: str) -> ProcessIdentity:
        """A worker as a process of its own; it need not be ready for runs to be started."""
        told = {**self.parts.environment(self.name), "TRAPS": str(self.directory), **environment}
        worker = await self.parts.zygote.worker(told, self.log)
        self.workers.append(worker)
        return worker

    async def start_api(self, port: int, **environment: str) -> ProcessIdentity:
        """The API as a process of its own, once it is ready."""
        told = {**self.parts.environment(self.name), "TRAPS": str(self.directory), **environment}
        log = self.directory / "api.log"
        process = await self.parts.zygote.api(port, told, log)
        await wait_for_http("api", f"http://{LOOPBACK}:{port}/readyz", has_status(200), process, log)
        return process

    @asynccontextmanager
    async def serving_api(self, **environment: str) -> AsyncIterator[str]:
        """The address of an API until the block ends."""
        [port] = free_ports(1)
        process = await self.start_api(port, **environment)
        try:
            yield f"http://{LOOPBACK}:{port}"
        finally:
            await process.stop()

    def set_trap(self, seam: str, what: Literal["kill", "hold"] = "kill") -> None:
        """Where the worker is killed, or held until `release`; once."""
        (self.directory / f"{seam}.{what}").touch()

    def is_sprung(self, seam: str) -> bool:
        return (self.directory / f"{seam}.sprung").exists()

    async def sprung(self, seam: str, patience: float = TEST_TIMEOUT_SECONDS) -> None:
        await wait_until(lambda: _always(self.is_sprung(seam)), f"the worker comes to {seam}", patience)

    def forget_trap(self, seam: str) -> None:
        """As if it had never been set, nor sprung."""
        for state in ("kill", "hold", "sprung"):
            (self.directory / f"{seam}.{state}").unlink(missing_ok=True)

    def release(self, seam: str) -> None:
        (self.directory / f"{seam}.released").touch()

    async def project(
        self,
        secrets: Mapping[str, str] | None = None,
        repository: str | None = EVERY_REPOSITORY,
        **fields: object,
    ) -> Project:
        """A project with one member; `secrets`: its secret environment variables.

        repository: what is allowed to it; None for nothing.
        Nothing is learned from its runs unless its `learning_config` says so: every run would end with a
        second conversation.
        """
        vault = Vault(self.settings.encryption_keys.get_secret_value())
        sealed = {
            name: {"value": vault.seal(value), "isSecret": True} for name, value in (secrets or {}).items()
        }
        off: JsonObject = {"isEnabled": False}
        project = Project(name="Test", slug=uuid4().hex, env_vars=sealed, learning_config=off)
        for name, value in fields.items():
            setattr(project, name, value)
        async with self.database.transaction() as session:
            session.add(project)
            await session.flush()
            session.add(Member(project_id=project.id, email="dev@example.com", name="Dev"))
            if repository is not None:
                session.add(AllowedRepository(project_id=project.id, pattern=repository))
        return project

    async def repository(self, files: Mapping[str, str] = FILES) -> str:
        """A new repository; its slug."""
        name = f"repo-{uuid4().hex[:12]}"
        await seed(self.parts.forge_data, OWNER, name, files)
        return f"{OWNER}/{name}"

    def blueprint(
        self,
        project_id: str,
        steps: Sequence[PipelineStep] = ONE_DESIGNER_STEP,
        config: BlueprintConfig | None = None,
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
        steps: Sequence[PipelineStep] = ONE_DESIGNER_STEP,
        *,
        project: Project | None = None,
        repository: str | None = None,
        config: BlueprintConfig | None = None,
        **request: Any,
    ) -> Run:
        """A pending run, as the API leaves it when it is killed between its commit and the start.

        Every prompt is made unique, as the scripted model counts the failures it gave by conversation.
        request: further fields of the request that starts it.
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
                request=RunStart(workflow_id=blueprint.id, prompt=f"{prompt}\n\n{new_id('test')}", **request),
                repository_slug=slug,
                repository_url=f"{self.settings.github_url}/{slug}",
                default_model=self.settings.default_model,
            )

    async def start(
        self,
        prompt: str,
        steps: Sequence[PipelineStep] = ONE_DESIGNER_STEP,
        *,
        project: Project | None = None,
        repository: str | None = None,
        config: BlueprintConfig | None = None,
        **request: Any,
    ) -> Run:
        run = await self.accept(
            prompt, steps, project=project, repository=repository, config=config, **request
        )
        return await self.send(run)

    async def send(self, run: Run) -> Run:
        """Start the workflow of an accepted run."""
        await start_row(self.client, run)
        return run

    async def tell(self, run: Run, words: str) -> None:
        """A message of the client to a live run, as the API passes it on."""
        message = FollowUp(project_id=run.project_id, job_id=run.id, content=words)
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

    async def until(
        self, run: Run, type: EventType, *, count: int = 1, patience: float = TEST_TIMEOUT_SECONDS
    ) -> Event:
        """The event of the run that is the `count`-th of its type."""
        found: list[Event] = []

        async def happened() -> bool:
            of_run = (col(Event.subject_id) == run.id) & (col(Event.type) == type)
            found[:] = await self.rows(Event, of_run, col(Event.seq))
            return len(found) >= count

        await wait_until(happened, f"{type} of run {run.id}", patience)
        return found[count - 1]

    async def ended(self, run: Run, patience: float = TEST_TIMEOUT_SECONDS) -> Run:
        """The run once its workflow is over; while the engine is away, or has no such workflow, it waits."""
        async with asyncio.timeout(patience):
            while True:
                with suppress(RPCError):
                    await self.handle(run).result()
                    return await self.read(run)
                await asyncio.sleep(0.2)


@asynccontextmanager
async def open_installation(
    parts: Servers, name: str, directory: Path, *, is_bound: bool = True, **environment_of_its_own: str
) -> AsyncIterator[Installation]:
    """A new site without a worker; its workers are killed at the end.

    is_bound: its database belongs to its namespace already, as if a worker had been there.
    """
    directory.mkdir(parents=True)
    await parts.found(name)
    environment = {**parts.environment(name), **environment_of_its_own}
    fields = {key: environment[key.upper()] for key in Settings.model_fields if key.upper() in environment}
    settings = Settings.model_validate(fields)
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker, pool_size=4)
    async with database.transaction() as session:
        installation = await get_installation(session)
    client = await connect(settings, installation.id)
    if is_bound:
        await bind_namespace(database, client)
    site = Installation(name, parts, settings, database, client, directory, installation.id)
    try:
        yield site
    finally:
        await asyncio.gather(*(worker.stop(signal.SIGKILL, 5) for worker in site.workers))
        await database.close()


async def wait_until(
    happens: Callable[[], Awaitable[bool]], what: str, patience: float = TEST_TIMEOUT_SECONDS
) -> None:
    """Wait until it happens; AssertionError when that takes longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while not await happens():
        assert time.monotonic() < deadline, f"not within {patience:g} s: {what}"
        await asyncio.sleep(0.1)


async def _always(value: bool) -> bool:
    return value
