"""All sandboxes of this server: creating, finding and ending them when their time is over."""

import asyncio
import logging
import secrets
import time
from collections.abc import Coroutine
from typing import NoReturn

from pydantic import BaseModel, Field

from local.sandboxes.faults import NewFaults
from local.sandboxes.isolation import users
from local.sandboxes.network.policy import Network, policy_of
from local.sandboxes.records import TRASH, Record, load_records, remove_tree
from local.sandboxes.sandbox import BootFailed, Sandbox, SandboxDefaults, SandboxGone

log = logging.getLogger(__name__)

_EXPIRY_CHECK_SECONDS = 0.25  # seconds between two looks at the clock


class NewSandbox(BaseModel):
    """The body of E2B's `POST /v2/sandboxes`, as far as this server goes. `timeout` is in seconds."""

    template_id: str = Field(alias="templateID", min_length=1)
    timeout: int = Field(default=300, ge=0)
    metadata: dict[str, str] = Field(default_factory=dict)
    envs: dict[str, str] = Field(default_factory=dict, alias="envVars")
    auto_pause: bool = Field(default=False, alias="autoPause")
    auto_pause_memory: bool = Field(default=True, alias="autoPauseMemory")
    allow_internet_access: bool | None = None
    network: Network | None = None


class SandboxNotFound(Exception):
    def __init__(self, sandbox_id: str) -> None:
        super().__init__(f"sandbox {sandbox_id} not found: it was killed, its time was over or it never was")


class Fleet:
    def __init__(self, house: SandboxDefaults) -> None:
        self._house = house
        self._boxes: dict[str, Sandbox] = {}
        self._dying: dict[str, Sandbox] = {}
        """Killed, but not dead yet (see `faults`)."""
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def disk_mb(self) -> int:
        """The disk quota of each."""
        return self._house.disk_mb

    async def restore(self) -> None:
        """Bring back what an earlier server left. Each boots with the first request to it, from its files."""
        for leftover in TRASH.glob("*"):
            await remove_tree(leftover)
        for record in load_records():
            self._boxes[record.sandbox_id] = Sandbox(record, self._house)
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
            uid = users.free_id({it.record.uid for it in self.boxes()})
            box = Sandbox(_record(new, idempotency_key, uid), self._house)
            box.furnish()
            self._boxes[box.record.sandbox_id] = box
        try:
            await box.transport()
        except BootFailed:
            await self._drop(box)
            raise
        return box.record

    def find(self, sandbox_id: str) -> Sandbox:
        """Raises SandboxNotFound."""
        try:
            return self._boxes[sandbox_id]
        except KeyError:
            raise SandboxNotFound(sandbox_id) from None

    def look_up(self, sandbox_id: str) -> Sandbox:
        """The same for the control plane, where a fault may hide it."""
        box = self.find(sandbox_id)
        if box.faults.hides():
            raise SandboxNotFound(sandbox_id)
        return box

    def reach(self, sandbox_id: str) -> Sandbox:
        """The same for the data plane, which reaches it until it is dead."""
        return self._dying.get(sandbox_id) or self.find(sandbox_id)

    def boxes(self) -> list[Sandbox]:
        """All of them, also those that are dying."""
        return [*self._boxes.values(), *self._dying.values()]

    def records(self) -> list[Record]:
        return [box.record for box in self._boxes.values()]

    async def delete(self, sandbox_id: str) -> None:
        await self._drop(self.find(sandbox_id))

    async def lay(self, sandbox_id: str, new: NewFaults) -> None:
        """Let a sandbox have these faults from now on."""
        box = self.find(sandbox_id)
        box.faults.lay(new)
        if box.faults.is_unreachable:
            await box.cut()
        if new.forgets:
            await box.remember()
        if new.dies_in_seconds is not None:
            self._dying[sandbox_id] = self._boxes.pop(sandbox_id)
            self._later(self._die(box, new.dies_in_seconds))

    async def watch_the_clock(self) -> NoReturn:
        """End or pause each sandbox when its time is over."""
        while True:
            await asyncio.sleep(_EXPIRY_CHECK_SECONDS)
            now = time.time()
            for box in [
                it for it in self._boxes.values() if it.record.state == "running" and it.record.end_at <= now
            ]:
                self._later(self._expire(box))

    async def halt(self) -> None:
        """End every process of every sandbox. Records and files stay, for the next server to restore."""
        halting = [box.halt() for box in self._boxes.values()]
        dying = [box.delete() for box in self._dying.values()]
        await asyncio.gather(*halting, *dying)

    async def _expire(self, box: Sandbox) -> None:
        try:
            if box.record.auto_pause:
                await box.pause(memory=box.record.auto_pause_memory)
            else:
                await self._drop(box)
        except OSError:
            log.exception("sandbox %s could not be ended", box.record.sandbox_id)
        except SandboxGone:
            log.debug("sandbox %s was ended by a client at the same time", box.record.sandbox_id)

    def _later(self, ending: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _die(self, box: Sandbox, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._dying.pop(box.record.sandbox_id, None)
        await box.delete()

    async def _drop(self, box: Sandbox) -> None:
        self._boxes.pop(box.record.sandbox_id, None)
        await box.delete()


def _record(new: NewSandbox, idempotency_key: str | None, uid: int) -> Record:
    return Record(
        sandbox_id="i" + secrets.token_hex(10),
        template_id=new.template_id,
        access_token=secrets.token_hex(32),
        metadata=new.metadata,
        envs=new.envs,
        uid=uid,
        reach=policy_of(new.allow_internet_access, new.network),
        auto_pause=new.auto_pause,
        auto_pause_memory=new.auto_pause_memory,
        idempotency_key=idempotency_key,
        end_at=time.time() + new.timeout,
    )
