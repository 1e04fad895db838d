"""Whether what an installation stands on can be reached, and what to do if not; never a secret."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError, SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from activities.reconcile.admission import RECONCILE_SCHEDULE, NamespaceTaken, namespace_owner
from cli.deployment.migrate import ALEMBIC_CONFIG
from gateways.anthropic.client import MessagesClient
from gateways.errors import GatewayError
from gateways.git.cache import CloneCache
from gateways.git.process import Git, GitUnusable, check_version
from gateways.github.access import github_app
from gateways.github.client import GitHub
from gateways.sandboxes.control import SandboxProvider
from kit.database import Database
from kit.settings import Settings
from kit.temporal import connect
from models.reconcile.installation import Installation, get_installation
from models.reconcile.sweep import load_sweeps
from models.reconcile.sweep_summary import summarize_sweeps

CHECK_TIMEOUT_SECONDS = 15.0
NO_SERVER_KEY = "the server has no key; projects may bring their own"


class PartStatus(NamedTuple):
    part: str
    state: str
    """`ok`, `wrong`, or `not set`."""
    detail: str


class ConnectivityCheck:
    """Asks each part once; `client` is there once Temporal was reached."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings, self.database = settings, database
        self.client: Client | None = None
        self.is_paused = False

    async def check_all(self) -> list[PartStatus]:
        parts: dict[str, Callable[[], Awaitable[tuple[str, str]]]] = {
            "database": self._database,
            "schema": self._schema,
            "temporal": self._temporal,
            "sandboxes": self._sandboxes,
            "git": self._git,
            "github": self._github,
            "model": self._model,
        }
        reached = list(await asyncio.gather(*(self._check(part, ask) for part, ask in parts.items())))
        return [*reached, await self._check("sweeps", self._sweeps)] if self.client else reached

    async def _check(self, part: str, ask: Callable[[], Awaitable[tuple[str, str]]]) -> PartStatus:
        try:
            async with asyncio.timeout(CHECK_TIMEOUT_SECONDS):
                return PartStatus(part, *await ask())
        except GatewayError as error:
            words = error.message
        except SQLAlchemyError:
            words = f"the database at {self._address} cannot be reached: start it, or correct DATABASE_URL"
        except (RPCError, RuntimeError):
            words = (
                f"{self.settings.temporal_address} cannot be reached: start it, or correct TEMPORAL_ADDRESS"
            )
        except TimeoutError:
            words = (
                f"no answer within {CHECK_TIMEOUT_SECONDS:g} s: see whether it runs, and whether "
                "a firewall is between"
            )
        return PartStatus(part, "wrong", words)

    @property
    def _address(self) -> str:
        [host, *_] = self.settings.database_url.hosts()
        return f"{host['host']}:{host['port'] or 5432}{self.settings.database_url.path or ''}"

    async def _database(self) -> tuple[str, str]:
        async with self.database.transaction() as session:
            await session.execute(text("SELECT 1"))
        return "ok", self._address

    async def _schema(self) -> tuple[str, str]:
        wanted = ScriptDirectory.from_config(Config(ALEMBIC_CONFIG)).get_current_head()
        there = None
        try:
            async with self.database.transaction() as session:
                version = await session.execute(text("SELECT version_num FROM alembic_version"))
                there = version.scalar_one_or_none()
        except ProgrammingError:  # there is no such table
            there = None
        if there == wanted:
            return "ok", f"version {there}"
        return "wrong", f"version {there or 'none'}, this program needs {wanted}: run codecourier migrate"

    async def _temporal(self) -> tuple[str, str]:
        client = await connect(self.settings)
        where = f"{self.settings.temporal_address}, namespace {client.namespace}"
        owner = await namespace_owner(client)
        if owner is None:
            return "wrong", f"{where}: no worker was ever here; start one, or correct TEMPORAL_NAMESPACE"
        try:
            installation = await self._installation()
        except SQLAlchemyError:
            return "wrong", f"{where}: whether it is this installation's, only the database can tell"
        if owner != installation.id:
            return "wrong", str(NamespaceTaken(client.namespace, owner))
        if (reason := installation.mismatch_reason(client.namespace)) is not None:
            return "wrong", reason
        self.client = await connect(self.settings, installation.id)
        schedule = await client.get_schedule_handle(RECONCILE_SCHEDULE).describe()
        self.is_paused = schedule.schedule.state.paused
        return "ok", where + (f"; the schedule {RECONCILE_SCHEDULE} is paused" if self.is_paused else "")

    async def _sweeps(self) -> tuple[str, str]:
        """What the reconciler's sweeps came to; while they are paused, nothing is wrong with them."""
        async with self.database.read_only() as session:
            lines = summarize_sweeps(await get_installation(session), await load_sweeps(session))
        is_good = self.is_paused or all(line.is_good for line in lines)
        return "ok" if is_good else "wrong", "; ".join(line.text for line in lines)

    async def _installation(self) -> Installation:
        async with self.database.read_only() as session:
            return await get_installation(session)

    async def _sandboxes(self) -> tuple[str, str]:
        settings = self.settings
        if settings.e2b_api_key is None:
            return "not set", f"E2B_API_KEY: {NO_SERVER_KEY}"
        sandboxes = SandboxProvider(
            settings.e2b_api_key.get_secret_value(),
            api_url=settings.e2b_api_url,
            sandbox_url=settings.e2b_sandbox_url,
            owner=(await self._installation()).id,
        )
        return "ok", f"{settings.e2b_api_url or 'E2B'}, {len(await sandboxes.find({}))} of ours"

    async def _git(self) -> tuple[str, str]:
        """Here, as workers of this host have it; others have their own."""
        try:
            cache = CloneCache(Git(), self.settings.git_cache_dir, self.settings.git_cache_bytes)
            return "ok", f"{check_version()}, runs as: {cache.git.isolation.name}, cache in {cache.directory}"
        except GitUnusable as error:
            return "wrong", str(error)

    async def _github(self) -> tuple[str, str]:
        settings = self.settings
        app = github_app(settings)
        words = [] if app is None else [f"as the App {await app.read_name()}"]
        if settings.github_token is None:
            if words:
                return "ok", f"{settings.github_api_url}, {words[0]}"
            return "not set", f"GITHUB_TOKEN or GITHUB_APP_ID: {NO_SERVER_KEY}"
        github = GitHub(
            settings.github_token.get_secret_value(),
            api_url=settings.github_api_url,
            database=self.database,
            spacing_seconds=settings.github_write_spacing_seconds,
        )
        return "ok", ", ".join([settings.github_api_url, *words, f"as {await github.read_login()}"])

    async def _model(self) -> tuple[str, str]:
        key = self.settings.anthropic_api_key
        if key is None:
            return "not set", f"ANTHROPIC_API_KEY: {NO_SERVER_KEY}"
        async with MessagesClient(key.get_secret_value(), base_url=self.settings.anthropic_base_url) as agent:
            await agent.ping()
        return "ok", self.settings.anthropic_base_url or "Anthropic"
