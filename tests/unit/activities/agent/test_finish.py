"""A session ends as its agent asks, once, and not while a message of the user waits."""

import asyncio

import pytest

from activities.agent.finish import FinishActivities, FinishCall, FinishDecision
from activities.sandboxes.checkpoints import PROTECTED_PATHS_KEY
from kit.database import Database
from models import AgentSession, Message, RunStep
from models.agent.session import MessageRole
from models.base import now
from models.effect import EffectKind, record_intent
from models.event import EventType
from models.runs.run_step import StepStatus, mark_work_saved
from tests.conftest import ProjectKey
from tests.support.agent_sessions import SEQUENCE, RunningSession, make_running_session, tool_use_block


@pytest.fixture
async def work(database: Database, project: ProjectKey) -> RunningSession:
    return await make_running_session(database, project, tool_use_block("finish", summary="All done."))


async def accept(work: RunningSession, *, unsaved_in: str | None = None) -> FinishDecision:
    call = FinishCall(session_id=work.agent.id, sequence=SEQUENCE, unsaved_in=unsaved_in)
    return await FinishActivities(work.database).accept_finish(call)


async def test_a_finish_ends_session_and_step_once_however_often_it_is_accepted(work: RunningSession) -> None:
    accepted = await asyncio.gather(*(accept(work) for _ in range(4)))
    assert accepted == [FinishDecision(is_finished=True)] * 4
    step = await work.read_step()
    assert (step.status, step.output) == (StepStatus.completed, "All done.")
    assert await work.results() == {"call_0": "Finished."}
    [event] = await work.events()
    assert (event.type, event.data["summary"]) == (EventType.step_completed, "All done.")
    async with work.database.read_only() as session:
        agent = await session.get_one(AgentSession, work.agent.id)
    assert agent.result is not None
    assert agent.result["summary"] == "All done."


async def test_a_finish_is_put_off_while_a_message_waits(work: RunningSession) -> None:
    await work.tell("And one more thing.")
    assert not (await accept(work)).is_finished
    assert "a message from the user has arrived" in (await work.results())["call_0"]
    assert not (await accept(work)).is_finished, "said again, it says the same"
    assert (await work.read_step()).status is StepStatus.running
    assert await work.events() == []


async def test_a_finish_is_put_off_once_while_protected_paths_are_touched(
    work: RunningSession, database: Database
) -> None:
    async with database.transaction() as session:
        (await record_intent(session, work.run.id, EffectKind.checkpoint)).complete_again(
            {PROTECTED_PATHS_KEY: ["CODEOWNERS"]}
        )
    for _ in range(2):
        assert not (await accept(work)).is_finished, "said again, it says the same"
    assert "protects:\n- CODEOWNERS\n" in (await work.results())["call_0"]
    later = FinishCall(session_id=work.agent.id, sequence=SEQUENCE + 10)
    async with database.transaction() as session:
        session.add(
            Message(
                session_id=work.agent.id,
                sequence=later.sequence,
                role=MessageRole.assistant,
                content=[tool_use_block("finish", "call_1", summary="Not without it.")],
            )
        )
    assert (await FinishActivities(database).accept_finish(later)).is_finished


async def test_a_finish_of_a_run_that_is_over_tells_nothing(work: RunningSession) -> None:
    await work.change_run(completed_at=now())
    async with work.database.transaction() as session:
        (await session.get_one(RunStep, work.step.id)).close(StepStatus.cancelled)
    assert (await accept(work)).is_finished
    assert (await work.read_step()).status is StepStatus.cancelled
    assert await work.events() == []


async def test_a_step_whose_work_was_not_saved_says_so_until_it_is(work: RunningSession) -> None:
    await accept(work, unsaved_in=work.sandbox.id)
    for saved_in, is_done in (("s_other", False), (work.sandbox.id, True)):
        async with work.database.transaction() as session:
            await mark_work_saved(session, work.run.id, saved_in)
        assert (await work.read_step()).is_saved is is_done
