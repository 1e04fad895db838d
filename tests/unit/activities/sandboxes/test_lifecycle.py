"""A job has one sandbox, and its log tells once what became of it, whoever asks at the same moment."""

import asyncio

import pytest
from sqlmodel import col, select
from temporalio.exceptions import ApplicationError

from activities.jobs.context import load_job_context
from activities.sandboxes.lifecycle import SandboxRef, require_size
from activities.sandboxes.records import get_or_create_sandbox_row, mark_running
from activities.sandboxes.workspace import record_clone
from gateways.git.repository import CloneBase
from gateways.sandboxes.control import SandboxFacts
from kit.database import Database
from models import Event, Run, Sandbox, SandboxEvent
from models.base import now
from models.blueprints.blueprint import SandboxConfig
from models.event import EventType
from models.sandboxes.sandbox import SandboxPurpose, SandboxStatus

AT_ONCE = 8


async def told(database: Database, run: Run) -> list[tuple[int, str]]:
    async with database.transaction() as session:
        found = await session.exec(select(Event).where(col(Event.subject_id) == run.id).order_by("seq"))
        return [(event.seq, event.type) for event in found.all()]


async def test_a_job_has_one_sandbox_until_that_has_ended(database: Database, run: Run) -> None:
    config = SandboxConfig(memory_mb=512)
    wanted = await asyncio.gather(
        *(get_or_create_sandbox_row(database, run.id, config) for _ in range(AT_ONCE))
    )
    assert {each.id for each in wanted} == {wanted[0].id}
    async with database.transaction() as session:
        [row] = (await session.exec(select(Sandbox).where(col(Sandbox.job_id) == run.id))).all()
        assert (row.id, row.name, row.memory_mb, row.timeout_ms) == (
            wanted[0].id,
            run.name,
            512,
            wanted[0].timeout_ms,
        )
        row.mark_ended(SandboxStatus.error, "The sandbox was lost.")
    after = await get_or_create_sandbox_row(database, run.id, config)
    assert after.id != row.id
    assert await told(database, run) == [(1, EventType.sandbox_creating), (2, EventType.sandbox_creating)]


async def test_a_sandbox_begins_to_run_once(database: Database, run: Run) -> None:
    wanted = await get_or_create_sandbox_row(database, run.id, SandboxConfig())
    assert wanted.status is SandboxStatus.creating
    runs = [mark_running(database, run.id, wanted.id, "box-1") for _ in range(AT_ONCE)]
    await asyncio.gather(*runs)
    assert (
        await get_or_create_sandbox_row(database, run.id, SandboxConfig())
    ).status is SandboxStatus.running
    assert await told(database, run) == [(1, EventType.sandbox_creating), (2, EventType.sandbox_running)]
    async with database.transaction() as session:
        [line] = (
            await session.exec(select(SandboxEvent).where(col(SandboxEvent.sandbox_id) == wanted.id))
        ).all()
    assert line.message == "box-1 runs."


async def test_a_verification_of_another_commit_has_another_sandbox(database: Database, run: Run) -> None:
    config, purpose = SandboxConfig(), SandboxPurpose.verification
    before = await get_or_create_sandbox_row(database, run.id, config, purpose, "a" * 40)
    assert (await get_or_create_sandbox_row(database, run.id, config, purpose, "a" * 40)).id == before.id
    after = await get_or_create_sandbox_row(database, run.id, config, purpose, "b" * 40)
    assert (after.id != before.id, after.commit_sha) == (True, "b" * 40)


async def test_the_first_clone_of_a_run_stays_recorded(database: Database, run: Run) -> None:
    wanted = await get_or_create_sandbox_row(database, run.id, SandboxConfig())
    ref = SandboxRef(job_id=run.id, sandbox_id=wanted.id)
    place = await load_job_context(database, run.id, wanted.id)
    for branch, sha, times in (("main", "a" * 40, AT_ONCE), ("release", "b" * 40, 1)):
        cloned = CloneBase(base_branch=branch, base_sha=sha)
        keeps = [record_clone(database, ref, place, cloned, "work", 2) for _ in range(times)]
        await asyncio.gather(*keeps)
    async with database.transaction() as session:
        after = await session.get_one(Run, run.id)
        lines = (
            await session.exec(
                select(SandboxEvent.message)
                .where(col(SandboxEvent.sandbox_id) == wanted.id)
                .order_by(col(SandboxEvent.id))
            )
        ).all()
        in_order = select(Event).where(col(Event.subject_id) == run.id).order_by(col(Event.seq))
        events = (await session.exec(in_order)).all()
    files = "Put 2 project files in place."
    assert list(lines) == [f"Cloned o/r at {'a' * 40}.", files]
    assert (after.base_branch, after.base_sha, after.event_seq) == ("main", "a" * 40, 2)
    assert [event.data.get("baseSha") for event in events] == [None, "a" * 40]


def test_a_template_that_is_smaller_than_was_asked_for_is_refused() -> None:
    box = Sandbox(project_id="prj_1", job_id="r_1", name="n", template_id="tiny", timeout_ms=1)
    made = SandboxFacts("i1", "running", "tiny", {}, now(), now(), memory_mb=512, cpu_count=2)
    for memory_mb, cpu_count in ((None, None), (512, None), (None, 2), (512, 2)):
        box.memory_mb, box.cpu_count = memory_mb, cpu_count
        require_size(box, made)
    for memory_mb, cpu_count in ((513, None), (None, 3), (4096, 2)):
        box.memory_mb, box.cpu_count = memory_mb, cpu_count
        with pytest.raises(ApplicationError, match="'tiny' gives 512 MiB") as refused:
            require_size(box, made)
        assert refused.value.type == "TEMPLATE_TOO_SMALL"
