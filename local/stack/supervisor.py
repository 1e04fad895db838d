"""The embedded stack of one directory: start it, wait for it, watch over it, stop it, leaving nothing."""

import asyncio
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from local.stack import parts
from local.stack.parts import Part
from local.stack.plan import STACK_VARIABLE, Plan, choose_ports
from local.stack.process import ProcessIdentity, StartError, tail
from local.stack.state import Restarts, StackFile, State, make_private, pids

APPLICATION = ("worker", "api")
MIN_RESTART_DELAY_SECONDS, MAX_RESTART_DELAY_SECONDS = 1.0, 60.0
"""Seconds before a part that died is started again; the pause doubles from one restart to the next."""
STABLE_AFTER_SECONDS = 300.0
"""A part that lived so many seconds starts again after the shortest pause."""
LOG_TAIL_LINES = 5
"""Lines of its log that are remembered of a part that died."""

ProgressCallback = Callable[[str, str, str], None]
"""Told of every change: part, state (`starting ready stopping stopped died failed`), detail."""


def restart_delay(restart: int) -> float:
    """Seconds before the `restart`-th start in a row of a part that dies again and again, counted from 1."""
    return min(MAX_RESTART_DELAY_SECONDS, MIN_RESTART_DELAY_SECONDS * 2.0 ** (restart - 1))


@dataclass(frozen=True)
class PreparedProject:
    """What the rows of a new stack are: the project to work in and a key for it."""

    project_id: str
    api_key: str


Prepare = Callable[[Plan, str], Awaitable[PreparedProject]]
"""Brings the database at that address up to date and makes the first project; harmless when repeated."""


class Stack:
    """The parts of one plan.  Hold `local.stack.state.lock_stack` while you use it.

    prepare: runs between PostgreSQL and the API; without it neither API nor worker is started.
    """

    def __init__(self, plan: Plan, prepare: Prepare | None, report: ProgressCallback) -> None:
        self.plan, self._prepare, self.report = plan, prepare, report
        self._state = State.read(plan.directory)
        self._state.ports = dict(plan.ports)
        makers = {name: make for name, make in parts.INFRASTRUCTURE.items() if plan.is_embedded(name)}
        self._parts: dict[str, Part] = {name: make(plan) for name, make in makers.items()}

    @property
    def is_running(self) -> bool:
        """Whether every part that this plan has is alive."""
        wanted = {*self._parts, *(parts.APPLICATION if self._prepare is not None else ())}
        return wanted <= self._state.alive().keys()

    async def start(self) -> StackFile | None:
        """Start what is not running, in parallel where possible, and write `stack.json`.

        Raises `StartError` naming the part that failed; what was started is stopped again.  Its directory is
        made private first.
        """
        make_private(self.plan.directory)
        self._write()
        infrastructure = dict(self._parts)
        first = infrastructure.pop("postgres", None)
        prepared: PreparedProject | None = None
        try:
            async with asyncio.TaskGroup() as group:
                for part in infrastructure.values():
                    group.create_task(self._start(part))
                if first is not None:
                    await self._start(first)
                if self._prepare is not None:
                    self.report("database", "starting", "migrations and the first project")
                    prepared = await self._prepare(self.plan, parts.database_url(self.plan))
                    self.report("database", "ready", "")
            if prepared is None:
                return None
            async with asyncio.TaskGroup() as group:
                for name, make in parts.APPLICATION.items():
                    self._parts[name] = make(self.plan)
                    group.create_task(self._start(self._parts[name]))
        except BaseExceptionGroup as failures:
            await self.stop()
            raise _first_cause(failures) from failures
        except asyncio.CancelledError:
            await self.stop()
            raise
        return self._write_stack_file(prepared)

    async def watch(self) -> None:
        """Start again every part that dies, until cancelled."""
        self._state.supervisor = ProcessIdentity.of(os.getpid())
        self._state.restarts = {}
        self._write()
        async with asyncio.TaskGroup() as group:
            for part in self._parts.values():
                group.create_task(self._keep_alive(part))

    async def stop(self) -> None:
        """Stop everything: what asks first, then what is asked; then whatever a killed part left behind."""
        names = [name for name in self._state.parts if name in APPLICATION]
        await asyncio.gather(*(self._stop(name) for name in names))
        others = {*self._state.parts, *parts.INFRASTRUCTURE} - {*names}
        await asyncio.gather(*(self._stop(name) for name in others))
        await _kill_leftovers(self.plan.directory)
        self._state = State(ports=self._state.ports)
        self._write()
        (self.plan.directory / "stack.json").unlink(missing_ok=True)

    async def _start(self, part: Part) -> None:
        known = self._state.parts.get(part.name)
        if known is None or not known.is_alive:
            self.report(part.name, "starting", "")
            known = await part.spawn()
            self._state.parts[part.name] = known
            self._write()
        try:
            await part.ready(known)
        except StartError:
            self.report(part.name, "failed", "")
            raise
        self.report(part.name, "ready", f"pid {known.pid}")

    async def _keep_alive(self, part: Part) -> None:
        while True:
            process, since = self._state.parts[part.name], time.monotonic()
            await process.ended(math.inf)
            restarts = self._died(part, process, time.monotonic() - since)
            pause = restart_delay(restarts.in_a_row)
            self.report(part.name, "died", f"{restarts.last_exit}; starting it again in {pause:g} s")
            await asyncio.sleep(pause)
            try:
                await self._start(part)
            except (StartError, OSError):  # reported; what hangs is ended, so that it is tried again
                await self._state.parts[part.name].stop(part.stop_signal, part.stop_patience)
            self._refresh_pids()

    def _died(self, part: Part, process: ProcessIdentity, lived: float) -> Restarts:
        """Note the death of a part that had lived for so many seconds."""
        before = self._state.restarts.get(part.name)
        restarts = Restarts(
            count=(before.count if before else 0) + 1,
            in_a_row=(before.in_a_row if before and lived < STABLE_AFTER_SECONDS else 0) + 1,
            last_exit=process.last_words,
            died_at=time.time(),
            log_tail=tail(part.log, LOG_TAIL_LINES),
        )
        self._state.restarts[part.name] = restarts
        self._write()
        return restarts

    async def _stop(self, name: str) -> None:
        part = self._parts.get(name)
        identity = self._state.parts.get(name)
        if (identity is None or not identity.is_alive) and part is not None:
            identity = part.find()
        if identity is None:
            return
        self.report(name, "stopping", "")
        await identity.stop(*((part.stop_signal, part.stop_patience) if part else (signal.SIGTERM, 30.0)))
        self.report(name, "stopped", "")

    def _write(self) -> None:
        self._state.write(self.plan.directory)

    def _refresh_pids(self) -> None:
        file = StackFile.read(self.plan.directory)
        if file is not None:
            file.model_copy(update={"pids": pids(self._state.parts)}).write(self.plan.directory)

    def _write_stack_file(self, prepared: PreparedProject) -> StackFile:
        settings = {**self.plan.environment, **self.plan.settings(parts.database_url(self.plan))}
        file = StackFile(
            api_url=self.plan.url("api"),
            api_key=prepared.api_key,
            project_id=prepared.project_id,
            temporal_address=settings["TEMPORAL_ADDRESS"],
            temporal_namespace=settings.get("TEMPORAL_NAMESPACE", "default"),
            temporal_ui_url=settings.get("TEMPORAL_UI_URL"),
            database_url=settings["DATABASE_URL"],
            forge_url=settings.get("GITHUB_URL", "https://github.com"),
            forge_token=self.plan.key("forge_token") if self.plan.is_embedded("forge") else None,
            sandbox_url=settings.get("E2B_API_URL", "https://api.e2b.app"),
            model_url=settings.get("ANTHROPIC_BASE_URL", "https://api.anthropic.com"),
            pids=pids(self._state.parts),
        )
        file.write(self.plan.directory)
        return file


def make_plan(
    directory: Path,
    given_ports: Mapping[str, int],
    environment: Mapping[str, str],
    scenarios: tuple[Path, ...] = (),
) -> Plan:
    """The plan of this start: ports of the last one are kept if they are free.  Raises `StartError`."""
    state = State.read(directory)
    ports = choose_ports(given_ports, state.ports, state.alive().keys())
    return Plan(directory, ports, environment, scenarios)


async def _kill_leftovers(directory: Path) -> None:
    """Kill what killed parts left behind: processes that carry this stack's mark."""
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.pid != os.getpid() and process.environ().get(STACK_VARIABLE) == str(directory):
                identity = ProcessIdentity.of(process.pid)
                if identity is not None:
                    await identity.stop(patience=2.0)


def _first_cause(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """What went wrong first; the rest of a task group is cancelled because of it."""
    for failure in failures.exceptions:
        return _first_cause(failure) if isinstance(failure, BaseExceptionGroup) else failure
    return failures
