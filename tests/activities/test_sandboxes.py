"""A job has one sandbox, and its log tells once what became of it, whoever asks at the same moment."""

import asyncio

from sqlmodel import col, select

from activities.clones import keep_clone
from activities.sandbox_beginnings import sandbox_runs, want_sandbox
from activities.sandboxes import SandboxRef
from activities.workplaces import workplace
from gateways.repository import Cloned
from kit.database import Database
from models import Event, Run, Sandbox, SandboxEvent
from models.blueprint import SandboxConfig
from models.event import EventType
from models.sandbox import SandboxStatus

AT_ONCE = 8


async def told(database: Database, run: Run) -> list[tuple[int, str]]:
    async with database.transaction() as session:
        found = await session.exec(select(Event).where(col(Event.subject_id) == run.id).order_by("seq"))
        return [(event.seq, event.type) for event in found.all()]


async def test_a_job_has_one_sandbox_until_that_has_ended(database: Database, run: Run) -> None:
    config = SandboxConfig(memory_mb=512)
    wanted = await asyncio.gather(*(want_sandbox(database.direct, run.id, config) for _ in range(AT_ONCE)))
    assert [each for each in wanted if each != wanted[0]] == []
    async with database.transaction() as session:
        [row] = (await session.exec(select(Sandbox).where(col(Sandbox.job_id) == run.id))).all()
        assert (row.id, row.name, row.memory_mb, row.timeout_ms) == (
            wanted[0].id, run.name, 512, wanted[0].timeout_ms,
        )  # fmt: skip
        row.end(SandboxStatus.error, "The sandbox was lost.")
    after = await want_sandbox(database.direct, run.id, config)
    assert after.id != row.id
    assert await told(database, run) == [(1, EventType.sandbox_creating), (2, EventType.sandbox_creating)]


async def test_a_sandbox_begins_to_run_once(database: Database, run: Run) -> None:
    wanted = await want_sandbox(database.direct, run.id, SandboxConfig())
    assert not wanted.is_running
    runs = [sandbox_runs(database.direct, run.id, wanted.id, "box-1") for _ in range(AT_ONCE)]
    await asyncio.gather(*runs)
    assert (await want_sandbox(database.direct, run.id, SandboxConfig())).is_running
    assert await told(database, run) == [(1, EventType.sandbox_creating), (2, EventType.sandbox_running)]
    async with database.transaction() as session:
        [line] = (
            await session.exec(select(SandboxEvent).where(col(SandboxEvent.sandbox_id) == wanted.id))
        ).all()
    assert line.message == "box-1 runs."


async def test_what_was_cloned_is_told_once_and_kept_as_it_is_now(database: Database, run: Run) -> None:
    wanted = await want_sandbox(database.direct, run.id, SandboxConfig())
    ref = SandboxRef(job_id=run.id, sandbox_id=wanted.id)
    place = await workplace(database.direct, run.id, wanted.id)
    for sha, times in (("a" * 40, AT_ONCE), ("b" * 40, 1)):
        cloned = Cloned(base_branch="main", base_sha=sha)
        keeps = [keep_clone(database.direct, ref, place, cloned, "work", 2) for _ in range(times)]
        await asyncio.gather(*keeps)
    async with database.transaction() as session:
        now = await session.get_one(Run, run.id)
        lines = (
            await session.exec(
                select(SandboxEvent.message)
                .where(col(SandboxEvent.sandbox_id) == wanted.id)
                .order_by(col(SandboxEvent.id))
            )
        ).all()
        events = (await session.exec(select(Event).where(col(Event.subject_id) == run.id))).all()
    files = "Put 2 project files in place."
    assert list(lines) == [f"Cloned o/r at {'a' * 40}.", files, f"Cloned o/r at {'b' * 40}.", files]
    assert (now.base_branch, now.base_sha, now.event_seq) == ("main", "b" * 40, 3)
    assert [event.data.get("baseSha") for event in events] == [None, "a" * 40, "b" * 40]
