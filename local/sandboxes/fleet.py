"""All sandboxes of this server: creating, finding and ending them when their time is over."""

import asyncio
import logging
import secrets
import time
from collections.abc import Sequence
from typing import NoReturn

from pydantic import BaseModel, Field

from local.sandboxes.box import BootFailed, Box, Gone
from local.sandboxes.records import TRASH, Record, load, remove_tree

log = logging.getLogger(__name__)

_TICK = 0.25  # seconds between two looks at the clock


class NewSandbox(BaseModel):
    """The body of E2B's `POST /v2/sandboxes`, as far as this server goes. `timeout` is in seconds."""

    template_id: str = Field(alias="templateID", min_length=1)
    timeout: int = Field(default=300, ge=0)
    metadata: dict[str, str] = Field(default_factory=dict)
    envs: dict[str, str] = Field(default_factory=dict, alias="envVars")
    auto_pause: bool = Field(default=False, alias="autoPause")
    auto_pause_memory: bool = Field(default=True, alias="autoPauseMemory")
    allow_internet_access: bool | None = None


class SandboxNotFound(Exception):
    def __init__(self, sandbox_id: str) -> None:
        super().__init__(f"sandbox {sandbox_id} not found: it was killed, its time was over or it never was")


class Fleet:
    """`ports` are the host's loopback ports that every sandbox reaches."""

    def __init__(self, ports: Sequence[int]) -> None:
        self._ports = ports
        self._boxes: dict[str, Box] = {}
        self._ending: set[asyncio.Task[None]] = set()

    async def restore(self) -> None:
        """Bring back what an earlier server left. Each boots with the first request to it, from its files."""
        for leftover in TRASH.glob("*"):
            await remove_tree(leftover)
        for record in load():
            self._boxes[record.sandbox_id] = Box(record, self._ports)
        log.info("%d sandboxes restored", len(self._boxes))

    async def create(self, new: NewSandbox, idempotency_key: str | None) -> Record:
        """A running sandbox: a new one, or the one this key created before. Raises BootFailed."""
        box = next(
            (
                it
                for it in self._boxes.values()
                if idempotency_key and it.record.idempotency_key == idempotency_key
            ),
            None,
        )
        if box is None:
            box = Box(_record(new, idempotency_key), self._ports)
            box.furnish()
            self._boxes[box.record.sandbox_id] = box
        try:
            await box.transport()
        except BootFailed:
            await self._drop(box)
            raise
        return box.record

    def find(self, sandbox_id: str) -> Box:
        """Raises SandboxNotFound."""
        try:
            return self._boxes[sandbox_id]
        except KeyError:
            raise SandboxNotFound(sandbox_id) from None

    def records(self) -> list[Record]:
        return [box.record for box in self._boxes.values()]

    async def delete(self, sandbox_id: str) -> None:
        await self._drop(self.find(sandbox_id))

    async def watch_the_clock(self) -> NoReturn:
        """End or pause each sandbox when its time is over."""
        while True:
            await asyncio.sleep(_TICK)
            now = time.time()
            for box in [
                it for it in self._boxes.values() if it.record.state == "running" and it.record.end_at <= now
            ]:
                task = asyncio.create_task(self._expire(box))
                self._ending.add(task)
                task.add_done_callback(self._ending.discard)

    async def halt(self) -> None:
        """End every process of every sandbox. Records and files stay, for the next server to restore."""
        await asyncio.gather(*(box.halt() for box in self._boxes.values()))

    async def _expire(self, box: Box) -> None:
        try:
            if box.record.auto_pause:
                await box.pause(memory=box.record.auto_pause_memory)
            else:
                await self._drop(box)
        except OSError:
            log.exception("sandbox %s could not be ended", box.record.sandbox_id)
        except Gone:
            log.debug("sandbox %s was ended by a client at the same time", box.record.sandbox_id)

    async def _drop(self, box: Box) -> None:
        self._boxes.pop(box.record.sandbox_id, None)
        await box.delete()


def _record(new: NewSandbox, idempotency_key: str | None) -> Record:
    return Record(
        sandbox_id="i" + secrets.token_hex(10),
        template_id=new.template_id,
        access_token=secrets.token_hex(32),
        metadata=new.metadata,
        envs=new.envs,
        allow_internet_access=new.allow_internet_access is not False,
        auto_pause=new.auto_pause,
        auto_pause_memory=new.auto_pause_memory,
        idempotency_key=idempotency_key,
        end_at=time.time() + new.timeout,
    )
