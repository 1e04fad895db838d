"""Calls that a lost sandbox interrupted are answered once, whatever comes later; and what they are told."""

import asyncio
from datetime import datetime, timedelta

import pytest

from activities.agent.sandbox_losses import LostTurn, SandboxLossActivities
from kit.database import Database
from models import Sandbox
from models.agent.session import ToolCall
from models.agent.tool_result import save_tool_result
from models.base import now
from models.effect import Effect, EffectKind
from models.event import EventType
from models.sandboxes.sandbox import SandboxStatus
from tests.conftest import ProjectKey
from tests.support.agent_sessions import SEQUENCE, RunningSession, make_running_session, tool_use_block


@pytest.fixture
async def work(database: Database, project: ProjectKey) -> RunningSession:
    blocks = [tool_use_block("bash", id=call, command="true") for call in ("first", "second")]
    return await make_running_session(database, project, *blocks)


async def lose(work: RunningSession, saved_at: datetime | None = None) -> bool:
    async with work.database.transaction() as session:
        (await session.get_one(Sandbox, work.sandbox.id)).mark_ended(SandboxStatus.error, "lost")
        if saved_at is not None:
            checkpoint = Effect.new_intent(work.run.id, EffectKind.checkpoint)
            checkpoint.done_at = saved_at
            await session.merge(checkpoint)
    turn = LostTurn(
        session_id=work.agent.id, sequence=SEQUENCE, sandbox_id=work.sandbox.id, replacement="s_next"
    )
    return await SandboxLossActivities(work.database).answer_lost_calls(turn)


async def test_calls_without_a_result_are_answered_once(work: RunningSession) -> None:
    await work.answer("first", "fine")
    assert await asyncio.gather(*(lose(work) for _ in range(4))) == [True] * 4
    results = await work.results()
    assert results["first"] == "fine"
    assert results["second"].startswith("This call was interrupted and is not repeated")
    assert (await work.read_step()).sandbox_ids == ["s_next"]
    [event] = await work.events()
    assert (event.type, event.data["toolUseId"]) == (EventType.tool_completed, "second")


async def test_a_result_that_comes_late_changes_nothing(work: RunningSession) -> None:
    await lose(work)
    before = await work.results()
    late = ToolCall(
        session_id=work.agent.id,
        sequence=SEQUENCE,
        tool_use_id="first",
        name="bash",
        result="late",
        is_error=False,
        duration_ms=9,
    )
    await save_tool_result(work.database.sql, work.run.id, late, {})
    assert await work.results() == before
    assert len(await work.events()) == 2


async def test_nobody_is_answered_where_every_call_had_its_result(work: RunningSession) -> None:
    for call in ("first", "second"):
        await work.answer(call, "fine")
    assert not await lose(work)
    assert await work.events() == []


async def test_the_agent_learns_when_work_was_lost_and_which_checkpoint_it_resumes(
    work: RunningSession,
) -> None:
    saved_at = now() + timedelta(seconds=1)
    await lose(work, saved_at)
    told = (await work.results())["first"]
    clock = f"{saved_at:%Y-%m-%d %H:%M:%S} UTC"
    assert f"made from the checkpoint of {clock}" in told
    assert f"changed in the old one after {clock} is gone" in told


async def test_what_was_saved_before_the_sandbox_began_was_not_saved_from_it(work: RunningSession) -> None:
    saved_at = work.sandbox.created_at - timedelta(hours=1)
    await lose(work, saved_at)
    told = (await work.results())["first"]
    assert f"made from the checkpoint of {saved_at:%Y-%m-%d %H:%M:%S} UTC" in told
    assert f"changed in the old one after {work.sandbox.created_at:%Y-%m-%d %H:%M:%S} UTC is gone" in told
