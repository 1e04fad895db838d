"""What activities need to reach the outside: credentials, read at use and never kept, and their gateways."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol

from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from activities.credentials import Credentials
from gateways.agent import Agent
from gateways.github import GitHub, clone_url
from gateways.sandbox import SandboxHandle
from gateways.sandboxes import Sandboxes
from kit.crypto import Vault
from kit.database import Database
from kit.pacing import Block, block, blocked
from kit.recent import Recent
from kit.scrub import Scrubber
from kit.settings import Settings
from models.base import now
from models.provider_key import Provider

spent_outside: ContextVar[list[float]] = ContextVar("spent_outside")
"""Seconds this activity spent waiting for a model, a sandbox, git or GitHub."""
_KEYS = """
    SELECT env_vars, (SELECT coalesce(json_object_agg(provider, sealed), '{}') FROM provider_key
        WHERE project_id = project.id)
    FROM project WHERE id = %(project)s
"""
MOST_AGENTS = 100
"""Clients of the model kept open, one for each key; the one that was not used for longest goes first."""


@contextmanager
def outside() -> Iterator[None]:
    """Measure a call that leaves the house; the worker logs the sum for each activity."""
    started = time.perf_counter()
    try:
        yield
    finally:
        spent_outside.get([]).append(time.perf_counter() - started)


class Attachable(Protocol):
    """What of a sandbox's row it takes to attach to it."""

    @property
    def provider_id(self) -> str | None: ...

    @property
    def timeout_ms(self) -> int: ...


class Outside:
    """Resolves a project's credentials, its own before the server's, and makes gateways from them."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.vault = Vault(settings.encryption_keys.get_secret_value())
        self._credentials: Recent[str, Credentials] = Recent(seconds=1)
        self._blocks: Recent[str, Block | None] = Recent(seconds=1)
        self._agents: OrderedDict[tuple[str, str], Agent] = OrderedDict()

    async def credentials(self, project_id: str) -> Credentials:
        """Read at most a second before they are used."""
        return await self._credentials.get(project_id, partial(self._read, project_id))

    async def _read(self, project_id: str) -> Credentials:
        [[env_vars, sealed]] = await self.database.direct.fetch(_KEYS, {"project": project_id})
        own = {Provider(provider): self.vault.open(key) for provider, key in sealed.items()}
        servers: list[tuple[Provider, SecretStr | None]] = [
            (Provider.e2b, self.settings.e2b_api_key),
            (Provider.anthropic, self.settings.anthropic_api_key),
            (Provider.github, self.settings.github_token),
        ]
        shared = {provider: key.get_secret_value() for provider, key in servers if key}
        environment = {name: self.vault.open(str(var["value"])) for name, var in env_vars.items()}
        secret = tuple(name for name, var in env_vars.items() if var["isSecret"])
        values = [*own.values(), *(environment[name] for name in secret), *self.settings.secret_values()]
        return Credentials({**shared, **own}, environment, secret, Scrubber(values))

    def sandboxes(self, credentials: Credentials) -> Sandboxes:
        return Sandboxes(
            credentials.key(Provider.e2b, "E2B_API_KEY"),
            api_url=self.settings.e2b_api_url,
            sandbox_url=self.settings.e2b_sandbox_url,
            owner=self.settings.sandbox_owner,
        )

    async def attach(self, credentials: Credentials, sandbox: Attachable) -> SandboxHandle:
        """A handle on a run's sandbox, which lives on for as long as the run's blueprint says from now."""
        if sandbox.provider_id is None:
            raise ApplicationError("The sandbox was never created.", type="SANDBOX_GONE", non_retryable=True)
        return await self.sandboxes(credentials).attach(sandbox.provider_id, sandbox.timeout_ms // 1000)

    def agent(self, credentials: Credentials) -> Agent:
        """The client of a key, kept open: its connections serve the next turn too."""
        auth: Literal["key", "bearer"] = "bearer" if Provider.anthropic_token in credentials.keys else "key"
        key = self.model_key(credentials)
        if (key, auth) not in self._agents:
            if len(self._agents) >= MOST_AGENTS:
                self._agents.popitem(last=False)
            self._agents[key, auth] = Agent(key, base_url=self.settings.anthropic_base_url, auth=auth)
        self._agents.move_to_end((key, auth))
        return self._agents[key, auth]

    async def blocked(self, key: str) -> Block | None:
        """The wait that a provider asked of everybody who uses this key, known within a second.

        One that is over is none, however lately it was read.
        """
        known = await self._blocks.get(key, partial(blocked, self.database, key))
        left = (known.until - now()).total_seconds() if known else 0.0
        return replace(known, seconds=left) if known and left > 0 else None

    async def block(self, key: str, seconds: float, reason: str) -> None:
        """Let nobody who uses this key ask for so long."""
        await block(self.database, key, seconds, reason)
        self._blocks.forget(key)

    def model_key(self, credentials: Credentials) -> str:
        token = credentials.keys.get(Provider.anthropic_token)
        return token or credentials.key(Provider.anthropic, "ANTHROPIC_API_KEY")

    def github(self, credentials: Credentials) -> GitHub:
        return GitHub(
            self.github_token(credentials),
            api_url=self.settings.github_api_url,
            database=self.database,
            spacing_seconds=self.settings.github_write_spacing_seconds,
        )

    def github_token(self, credentials: Credentials) -> str:
        return credentials.key(Provider.github, "GITHUB_TOKEN")

    def clone_url(self, slug: str) -> str:
        """Built from our own setting, never from what a client sent."""
        return clone_url(slug, self.settings.github_url)
