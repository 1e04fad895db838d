"""Sandboxes on E2B, or whatever speaks its protocol: looked up by their metadata before one is made."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from e2b import AsyncSandbox, SandboxInfo, SandboxQuery, SandboxState
from e2b.connection_config import ApiParams

from gateways.e2b_errors import translated
from gateways.errors import SandboxGone
from gateways.sandbox import Completed, SandboxHandle, ToolResult

__all__ = ["Completed", "SandboxFacts", "SandboxGone", "SandboxHandle", "Sandboxes", "ToolResult"]

OWNER: Final = "owner"
"""The metadata key that says whose sandbox it is: others' are never listed, and so never killed."""
REQUEST_SECONDS: Final = 60.0


@dataclass(frozen=True)
class SandboxFacts:
    id: str
    state: str
    """`running` or `paused`."""
    template: str
    metadata: dict[str, str]
    started_at: datetime
    ends_at: datetime


class Sandboxes:
    """One account's sandboxes of one `owner`.  Light: made for each use, and making it does no I/O."""

    def __init__(
        self, api_key: str, *, api_url: str | None = None, sandbox_url: str | None = None, owner: str
    ) -> None:
        self._owner = owner
        self._options = ApiParams(api_key=api_key, retries=0, request_timeout=REQUEST_SECONDS)
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
        allow_internet: bool = True,
    ) -> SandboxHandle:
        """The one sandbox with this marker, resumed if paused, created if there is none.

        It is paused, not killed, when its time is over, so that a run may rest for as long as it likes.
        Two that look at the same moment may both create; then the oldest stays and the others are killed.
        """
        if handle := await self._oldest(marker, timeout_seconds):
            return handle
        with translated("Creating a sandbox"):
            created = await AsyncSandbox.create(
                template=template,
                timeout=timeout_seconds,
                metadata={**marker, OWNER: self._owner},
                envs=dict(envs or {}),
                allow_internet_access=allow_internet,
                lifecycle={"on_timeout": "pause"},
                **self._options,
            )
        return await self._oldest(marker, timeout_seconds) or SandboxHandle(created)

    async def _oldest(self, marker: Mapping[str, str], timeout_seconds: int) -> SandboxHandle | None:
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
        wanted = {**marker, OWNER: self._owner}
        states = [SandboxState.RUNNING, SandboxState.PAUSED]
        found: dict[str, SandboxFacts] = {}
        with translated("Listing sandboxes"):
            pages = AsyncSandbox.list(
                query=SandboxQuery(metadata=wanted, state=states), limit=100, **self._options
            )
            while pages.has_next:
                for info in await pages.next_items():
                    if wanted.items() <= info.metadata.items():
                        found[info.sandbox_id] = _facts(info)
        return sorted(found.values(), key=lambda facts: (facts.started_at, facts.id))

    async def attach(self, sandbox_id: str, timeout_seconds: int) -> SandboxHandle:
        """A handle on a sandbox that lives on for at least `timeout_seconds`; a paused one is resumed.

        Raises `SandboxGone`.
        """
        with translated("Connecting to the sandbox"):
            return SandboxHandle(
                await AsyncSandbox.connect(sandbox_id, timeout=timeout_seconds, **self._options)
            )

    async def kill(self, sandbox_id: str) -> bool:
        """Whether there was something to kill; a sandbox that is gone already is fine."""
        with translated("Killing the sandbox"):
            return await AsyncSandbox.kill(sandbox_id, **self._options)

    async def kill_all(self, marker: Mapping[str, str]) -> int:
        """Kill every sandbox of ours with this marker; how many there were."""
        return sum([await self.kill(facts.id) for facts in await self.find(marker)])

    async def pause(self, sandbox_id: str) -> None:
        """Stop a sandbox, memory and files kept, until it is attached to again.  Raises `SandboxGone`."""
        with translated("Pausing the sandbox"):
            await AsyncSandbox.pause(sandbox_id, **self._options)

    async def extend(self, sandbox_id: str, timeout_seconds: int) -> None:
        """Let a running sandbox live for `timeout_seconds` from now.  Raises `SandboxGone`."""
        with translated("Extending the sandbox"):
            await AsyncSandbox.set_timeout(sandbox_id, timeout_seconds, **self._options)


def _facts(info: SandboxInfo) -> SandboxFacts:
    return SandboxFacts(
        id=info.sandbox_id,
        state=info.state.value,
        template=info.name or info.template_id,
        metadata=info.metadata,
        started_at=info.started_at,
        ends_at=info.end_at,
    )
