"""The fault table: rounds of faults are played, checked and added up, and shown while they are played."""

import asyncio
import json
import random
import time
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import BaseModel

from kit.ids import new_id
from local.stack.process import StartError
from tests.chaos.checker import check
from tests.chaos.environment import FaultEnvironment, open_environment
from tests.chaos.fault import FAULTS, Fault
from tests.chaos.secret_search import secrets_stored_by_servers, watch_sandboxes
from tests.support.outcomes import Finding, Severity
from tests.support.stack import Servers

MAX_SHOWN_FINDINGS: Final = 20
"""Findings of a fault that are told; its row counts all of them."""
BASELINE: Final = "nothing"
"""The fault that is none: delays are counted from how long its runs take."""


class Row(BaseModel):
    """What the rounds of one fault came to."""

    fault: str
    rounds: int = 0
    tries: int = 0
    """Jobs that were accepted."""
    lost: int = 0
    twice: int = 0
    wrong: int = 0
    longest: float = 0.0
    """Seconds from the request to the end, of the job that took longest."""
    seconds: float = 0.0
    """That the rounds took."""
    words: list[str] = []

    @property
    def is_clean(self) -> bool:
        return self.lost == self.twice == self.wrong == 0

    def add_failure(self, words: str) -> None:
        """A round that was none."""
        self.rounds += 1
        self.wrong += 1
        self.words = [*self.words, words][:MAX_SHOWN_FINDINGS]

    def add(self, stage: FaultEnvironment, findings: Sequence[Finding], seconds: float) -> None:
        self.rounds += 1
        self.tries += len(stage.accepted) + stage.others
        for harm in Severity:
            count = sum(finding.harm is harm for finding in findings)
            setattr(self, harm.value, getattr(self, harm.value) + count)
        self.longest = max([self.longest, *(job.took for job in stage.accepted if job.took is not None)])
        self.seconds += seconds
        self.words = [*self.words, *(f"{each.harm}: {each}" for each in findings)][:MAX_SHOWN_FINDINGS]


class Results(BaseModel):
    """What was played of a table, kept in a file: a table that was interrupted goes on with it."""

    commit: str
    command: str
    seed: int
    began_at: float
    rows: dict[str, Row] = {}
    leaks: list[str] = []
    """Secrets that were seen in sandboxes, or that servers keep."""

    @property
    def is_clean(self) -> bool:
        return self.tries > 0 and not self.leaks and all(row.is_clean for row in self.rows.values())

    @property
    def tries(self) -> int:
        return sum(row.tries for row in self.rows.values())

    @property
    def baseline(self) -> float:
        """Seconds that a run takes to which nothing happens."""
        row = self.rows.get(BASELINE)
        return row.longest if row is not None else 0.0

    def delay(self, row: Row) -> float:
        """The longest delay of a row's jobs (s): what they took beyond an undisturbed one."""
        return max(0.0, row.longest - self.baseline)

    @classmethod
    def load(cls, path: Path) -> "Results | None":
        with suppress(FileNotFoundError):
            return cls.model_validate_json(path.read_text())
        return None

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.new")
        draft.write_text(json.dumps(self.model_dump(), indent=2))
        draft.replace(path)


@dataclass(frozen=True)
class Scope:
    """How much of the table is played.

    rounds: of each fault; runs: at least so many in all, by further rounds of continuous kills.
    scale: of the time that faults last.  patience: seconds for jobs to end once all is well again.
    """

    faults: Sequence[Fault]
    rounds: int
    runs: int
    deadline: float
    scale: float
    patience: float
    together: int
    most_tries: int = 1_000
    """Jobs of a round, whatever the fault would have."""


ProgressCallback = Callable[[str, str], None]
"""Told of every change: the fault, and what it is at."""


@dataclass
class Table:
    parts: Servers
    scope: Scope
    results: Results
    directory: Path
    watch: ProgressCallback
    save: Callable[[], None]
    _alone: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def play(self) -> None:
        """Play what is left: the shared servers' faults one by one, everything else some at a time."""
        plan, seen = self.parts.plan, set(self.results.leaks)
        watching = asyncio.create_task(watch_sandboxes(plan, seen))
        try:
            await self._play_all([fault for fault in self.scope.faults if not fault.is_alone])
            for fault in self.scope.faults:
                if fault.is_alone:
                    await self._play_all([fault])
        finally:
            watching.cancel()
            self.results.leaks = sorted({*seen, *await asyncio.to_thread(secrets_stored_by_servers, plan)})
            self.save()

    async def _play_all(self, faults: Sequence[Fault]) -> None:
        waiting = self._rounds(faults)

        async def play_on() -> None:
            for fault in waiting:
                try:
                    await self.play_round(fault)
                except StartError as error:
                    self.row(fault).add_failure(f"its stage could not be opened: {error}")
                    self.watch(fault.name, "found something")

        async with asyncio.TaskGroup() as group:
            for _ in range(self.scope.together):
                group.create_task(play_on())

    def _rounds(self, faults: Sequence[Fault]) -> Iterator[Fault]:
        """The rounds that are left, each fault's first round before any second one."""
        begun = {fault.name: self.row(fault).rounds for fault in faults}
        while time.monotonic() < self.scope.deadline:
            left = [fault for fault in faults if begun[fault.name] < self.scope.rounds]
            if not left:
                left = [
                    fault for fault in faults if fault.is_repeated and self.results.tries < self.scope.runs
                ]
            if not left:
                return
            fault = min(left, key=lambda each: begun[each.name])
            begun[fault.name] += 1
            yield fault

    def row(self, fault: Fault) -> Row:
        return self.results.rows.setdefault(fault.name, Row(fault=fault.name))

    async def play_round(self, fault: Fault) -> None:
        """One round: a fresh stage, the fault, healing, the jobs' ends, the checker."""
        row, began = self.row(fault), time.monotonic()
        name = f"{fault.name}-{new_id('x')[-8:]}"
        chance = random.Random(f"{self.results.seed}:{fault.name}:{row.rounds}")
        self.watch(fault.name, "opens its stage")
        async with open_environment(
            self.parts,
            name,
            self.directory / name,
            chance=chance,
            tries=min(fault.tries, self.scope.most_tries),
            workers=fault.workers,
            patience=self.scope.patience,
            scale=self.scope.scale,
        ) as stage:
            self.watch(fault.name, "is played")
            findings = await guarded("it could not be played", fault.play(stage))
            await stage.heal()
            self.watch(fault.name, f"waits for the ends of {len(stage.accepted)} jobs")
            await stage.settled()
            self.watch(fault.name, "is checked")
            findings += await guarded("it could not be checked", check(stage, fault.expected))
        row.add(stage, findings, time.monotonic() - began)
        self.save()
        self.watch(fault.name, "played" if row.is_clean else "found something")


async def guarded(words: str, work: Awaitable[list[Finding] | None]) -> list[Finding]:
    """What the work found; whatever it fails of is a finding, too, so that other faults are still played."""
    try:
        return await work or []
    except Exception as error:  # noqa: BLE001 — it becomes a finding
        traceback.print_exception(error)
        return [Finding(Severity.wrong, f"{words}: {error!r}"[:500])]


def chosen(only: Sequence[str]) -> list[Fault]:
    """The faults whose names begin so, and what they are compared with; all without any.

    KeyError names what no fault's name begins with.
    """
    if not only:
        return [*FAULTS.values()]
    for name in only:
        if not any(each.startswith(name) for each in FAULTS):
            raise KeyError(name)
    names = [each for each in FAULTS if any(each.startswith(name) for name in [BASELINE, *only])]
    return [FAULTS[name] for name in names]
