"""Sandboxes on E2B, or whatever speaks its protocol: looked up by their metadata before one is made."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from e2b import AsyncSandbox, SandboxInfo, SandboxQuery, SandboxState
from e2b.connection_config import ApiParams
from e2b.exceptions import SandboxNotFoundException

from gateways.errors import SandboxGone, SandboxNotRunning
from gateways.sandboxes.egress import build_network, parse_refused_hosts
from gateways.sandboxes.errors import mapped_errors
from gateways.sandboxes.sandbox import Completed, SandboxHandle, ToolResult
from models.projects.egress import UNRESTRICTED_EGRESS, Egress

__all__ = ["Completed", "SandboxFacts", "SandboxGone", "SandboxHandle", "SandboxProvider", "ToolResult"]

OWNER_KEY: Final = "owner"
"""The metadata key that says whose sandbox it is: others' are never listed, and so never killed."""
REQUEST_TIMEOUT_SECONDS: Final = 60.0
NO_SIZE: Final[Mapping[str, int | None]] = MappingProxyType({})
RECHECK_SECONDS: Final = 2.0
"""After how long a sandbox that was not found is looked up once more."""


@dataclass(frozen=True)
class SandboxFacts:
    id: str
    state: str
    """`running` or `paused`."""
    template: str
    metadata: dict[str, str]
    started_at: datetime
    ends_at: datetime
    memory_mb: int
    cpu_count: int
    refused: Mapping[str, int] = field(default_factory=dict)
    """By host, how often its egress was refused, as far as the provider tells."""


class SandboxProvider:
    """One account's sandboxes of one `owner`.  Light: made for each use, and making it does no I/O."""

    def __init__(
        self, api_key: str, *, api_url: str | None = None, sandbox_url: str | None = None, owner: str
    ) -> None:
        self._owner = owner
        self._options = ApiParams(api_key=api_key, retries=0, request_timeout=REQUEST_TIMEOUT_SECONDS)
        if api_url is not None:
            self._options["api_url"] = api_url
        if sandbox_url is not None:
            self._options["sandbox_url"] = sandbox_url

    async def ensure(
        self,
        marker: Mapping[str, str],
        *,
        template: str,
        timeout_seconds: int,
        envs: Mapping[str, str] | None = None,
        egress: Egress = UNRESTRICTED_EGRESS,
        size: Mapping[str, int | None] = NO_SIZE,
    ) -> SandboxHandle:
        """The one sandbox with this marker, resumed if paused, created if there is none.

        size: `memoryMb` and `cpuCount`, where somebody asked for them.  E2B has no field for them, as it
        sizes sandboxes by their template: they are metadata, by which the embedded server limits its own.

        It is paused, not killed, when its time is over, so that a run may rest for as long as it likes.
        Two that look at the same moment may both create; then the oldest stays and the others are killed.
        """
        if handle := await self._attach_oldest(marker, timeout_seconds):
            return handle
        with mapped_errors("Creating a sandbox"):
            created = await AsyncSandbox.create(
                template=template,
                timeout=timeout_seconds,
                metadata={
                    **marker,
                    OWNER_KEY: self._owner,
                    **{name: str(value) for name, value in size.items() if value},
                },
                envs=dict(envs or {}),
                **build_network(egress),
                lifecycle={"on_timeout": "pause"},
                **self._options,
            )
        return await self._attach_oldest(marker, timeout_seconds) or SandboxHandle(created, timeout_seconds)

    async def _attach_oldest(self, marker: Mapping[str, str], timeout_seconds: int) -> SandboxHandle | None:
        handle: SandboxHandle | None = None
        for facts in await self.find(marker):
            if handle is not None:
                await self.kill(facts.id)
                continue
            try:
                handle = await self.attach(facts.id, timeout_seconds)
            except SandboxGone:
                continue
        return handle

    async def find(self, marker: Mapping[str, str]) -> list[SandboxFacts]:
        """Our sandboxes with this marker, running or paused, the oldest first."""
        wanted = {**marker, OWNER_KEY: self._owner}
        states = [SandboxState.RUNNING, SandboxState.PAUSED]
        found: dict[str, SandboxFacts] = {}
        with mapped_errors("Listing sandboxes"):
            pages = AsyncSandbox.list(
                query=SandboxQuery(metadata=wanted, state=states), limit=100, **self._options
            )
            while pages.has_next:
                for info in await pages.next_items():
                    if wanted.items() <= info.metadata.items():
                        found[info.sandbox_id] = _facts(info)
        return sorted(found.values(), key=lambda facts: (facts.started_at, facts.id))

    async def look_up(self, sandbox_id: str) -> SandboxFacts | None:
        """A sandbox, running or paused; None when the control plane does not know it, asked once."""
        with mapped_errors("Looking up the sandbox"):
            try:
                return _facts(await AsyncSandbox.get_info(sandbox_id, **self._options))
            except SandboxNotFoundException:
                return None

    async def attach(self, sandbox_id: str, timeout_seconds: int) -> SandboxHandle:
        """A handle on a sandbox that lives on for at least `timeout_seconds`; a paused one is resumed.

        The handle prolongs the lease while a command of its own runs.
        Raises `SandboxGone` when the control plane, asked twice, has no such sandbox, and only then.
        """
        try:
            return await self._connect(sandbox_id, timeout_seconds)
        except SandboxNotRunning:
            await asyncio.sleep(RECHECK_SECONDS)
        if await self.look_up(sandbox_id) is None:
            raise SandboxGone("The sandbox is gone: the provider was asked twice and has no such sandbox.")
        return await self._connect(sandbox_id, timeout_seconds)

    async def _connect(self, sandbox_id: str, timeout_seconds: int) -> SandboxHandle:
        with mapped_errors("Connecting to the sandbox"):
            sandbox = await AsyncSandbox.connect(sandbox_id, timeout=timeout_seconds, **self._options)
        return SandboxHandle(sandbox, timeout_seconds)

    def preview_url(self, handle: SandboxHandle, port: int) -> str:
        """Where a server in a sandbox is reached: at E2B's host for its port, or its like elsewhere."""
        if (base := self._options.get("sandbox_url")) is None:
            return f"https://{handle.host(port)}"
        address = urlsplit(str(base))
        host = "localhost" if address.hostname in ("127.0.0.1", "::1", None) else address.hostname
        own_port = f":{address.port}" if address.port else ""
        return f"{address.scheme}://{port}-{handle.id}.{host}{own_port}"

    async def kill(self, sandbox_id: str) -> bool:
        """Whether there was something to kill; a sandbox that is gone already is fine."""
        with mapped_errors("Killing the sandbox"):
            return await AsyncSandbox.kill(sandbox_id, **self._options)

    async def kill_all(self, marker: Mapping[str, str]) -> int:
        """Kill every sandbox of ours with this marker; how many there were."""
        return sum([await self.kill(facts.id) for facts in await self.find(marker)])

    async def pause(self, sandbox_id: str) -> None:
        """Stop a sandbox, memory and files kept, until it is attached to again.

        Raises `SandboxNotRunning`.
        """
        with mapped_errors("Pausing the sandbox"):
            await AsyncSandbox.pause(sandbox_id, **self._options)

    async def extend(self, sandbox_id: str, timeout_seconds: int) -> None:
        """Let a running sandbox live for `timeout_seconds` from now.  Raises `SandboxNotRunning`."""
        with mapped_errors("Extending the sandbox"):
            await AsyncSandbox.set_timeout(sandbox_id, timeout_seconds, **self._options)


def _facts(info: SandboxInfo) -> SandboxFacts:
    return SandboxFacts(
        id=info.sandbox_id,
        state=info.state.value,
        template=info.name or info.template_id,
        metadata=info.metadata,
        started_at=info.started_at,
        ends_at=info.end_at,
        memory_mb=info.memory_mb,
        cpu_count=info.cpu_count,
        refused=parse_refused_hosts(info.metadata),
    )
