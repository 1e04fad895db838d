"""What activities need to reach the outside: credentials, read at use and never kept, and their gateways."""

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Literal, Protocol

from temporalio.exceptions import ApplicationError

from activities.projects.credentials import Credentials, load_credentials
from gateways.anthropic.client import MessagesClient
from gateways.git.cache import CloneCache
from gateways.git.hidden_refs import HiddenRefs
from gateways.git.process import Git
from gateways.github.access import GitHubAccess, Token
from gateways.github.client import GitHub, clone_url
from gateways.sandboxes.control import SandboxProvider
from gateways.sandboxes.sandbox import SandboxHandle
from kit.crypto import Vault
from kit.database import Database
from kit.redaction import Redactor, RedactorCache
from kit.settings import Settings
from kit.ttl_cache import TTLCache
from models.base import now
from models.projects.provider_key import Provider
from models.provider_rate_limit import BackOff, back_off, current_back_off

external_seconds: ContextVar[list[float]] = ContextVar("spent_outside")
"""Seconds this activity spent waiting for a model, a sandbox, git or GitHub."""
redactors: ContextVar[list[Redactor]] = ContextVar("redactors")
"""Of the projects whose credentials this activity has read: for what its failure says."""
MAX_MODEL_CLIENTS = 100
"""Clients of the model kept open, one for each key; the one that was not used for longest goes first."""


@contextmanager
def external_call() -> Iterator[None]:
    """Measure a call that leaves the house; the worker logs the sum for each activity."""
    started = time.perf_counter()
    try:
        yield
    finally:
        external_seconds.get([]).append(time.perf_counter() - started)


class Attachable(Protocol):
    """What of a sandbox's row it takes to attach to it."""

    @property
    def provider_id(self) -> str | None: ...

    @property
    def timeout_ms(self) -> int: ...


class GatewayFactory:
    """Resolves a project's credentials, its own before the server's, and makes gateways from them."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self.settings = settings
        self.database = database
        self.vault = Vault(settings.encryption_keys.get_secret_value())
        self.github_access = GitHubAccess(settings, database)
        self.redactors = RedactorCache()
        self._credentials: TTLCache[str, Credentials] = TTLCache(seconds=1)
        self._back_offs: TTLCache[str, BackOff | None] = TTLCache(seconds=1)
        self._git: CloneCache | None = None
        self._model_clients: OrderedDict[tuple[str, str], MessagesClient] = OrderedDict()

    async def credentials(self, project_id: str) -> Credentials:
        """Read at most a second before they are used."""
        credentials = await self._credentials.get(project_id, partial(self._read, project_id))
        redactors.get([]).append(credentials.redactor)
        return credentials

    async def _read(self, project_id: str) -> Credentials:
        return await load_credentials(self.database, self.vault, self.settings, self.redactors, project_id)

    def sandboxes(self, credentials: Credentials) -> SandboxProvider:
        return SandboxProvider(
            credentials.key(Provider.e2b, "E2B_API_KEY"),
            api_url=self.settings.e2b_api_url,
            sandbox_url=self.settings.e2b_sandbox_url,
            owner=credentials.owner,
        )

    async def attach(self, credentials: Credentials, sandbox: Attachable) -> SandboxHandle:
        """A handle on a run's sandbox, which lives on for as long as the run's blueprint says from now."""
        if sandbox.provider_id is None:
            raise ApplicationError("The sandbox was never created.", type="SANDBOX_GONE", non_retryable=True)
        return await self.sandboxes(credentials).attach(sandbox.provider_id, sandbox.timeout_ms // 1000)

    async def model_client(self, credentials: Credentials) -> MessagesClient:
        """The client of a key, kept open: its connections serve the next turn too."""
        auth: Literal["key", "bearer"] = "bearer" if Provider.anthropic_token in credentials.keys else "key"
        key = self.model_key(credentials)
        if (agent := self._model_clients.get((key, auth))) is None:
            agent = MessagesClient(key, base_url=self.settings.anthropic_base_url, auth=auth)
            self._model_clients[key, auth] = agent
        self._model_clients.move_to_end((key, auth))
        while len(self._model_clients) > MAX_MODEL_CLIENTS:
            _, oldest = self._model_clients.popitem(last=False)
            await oldest.close_when_idle()
        return agent

    async def current_back_off(self, key: str) -> BackOff | None:
        """The wait that a provider asked of everybody who uses this key, known within a second.

        One that is over is none, however lately it was read.
        """
        known = await self._back_offs.get(key, partial(current_back_off, self.database, key))
        left = (known.until - now()).total_seconds() if known else 0.0
        return replace(known, seconds=left) if known and left > 0 else None

    async def back_off(self, key: str, seconds: float, reason: str) -> None:
        """Let nobody who uses this key ask for so long."""
        await back_off(self.database, key, seconds, reason)
        self._back_offs.forget(key)

    def model_key(self, credentials: Credentials) -> str:
        token = credentials.keys.get(Provider.anthropic_token)
        return token or credentials.key(Provider.anthropic, "ANTHROPIC_API_KEY")

    async def github(self, credentials: Credentials, slug: str) -> GitHub:
        """GitHub's API for one repository; fails as `github_token` does."""
        return self.github_access.github(await self.github_token(credentials, slug))

    @property
    def git(self) -> CloneCache:
        """git on this side, and what it fetched before.  Raises `GitUnusable`."""
        if self._git is None:
            self._git = CloneCache(Git(), self.settings.git_cache_dir, self.settings.git_cache_bytes)
        return self._git

    async def hidden_refs(self, credentials: Credentials, slug: str) -> HiddenRefs:
        return HiddenRefs(self.git, *await self.remote(credentials, slug))

    async def github_token(self, credentials: Credentials, slug: str) -> Token:
        """What opens this repository to the project just now.

        RepositoryNotAllowed where the operator did not list it, or does so no longer, and CredentialMissing
        where there is no token at all; neither is retried.
        """
        own = credentials.keys.get(Provider.github)
        return await self.github_access.token(credentials.project_id, own, slug)

    async def remote(self, credentials: Credentials, slug: str) -> tuple[str, str]:
        """A repository's address for git, built from our own setting, and the token that opens it."""
        token = await self.github_token(credentials, slug)
        return clone_url(slug, self.settings.github_url), token.value
