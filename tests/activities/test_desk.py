"""What lies on the desk serves once, whole and fresh, or not at all."""

import pytest

from activities.conversations import Conversation, Said, Standing
from activities.desk import FRESH, MOST, Desk
from gateways.conversation import ToolResult
from models import AgentSession
from models.agent_session import MessageRole, answer_place
from models.persona import ThinkingEffort
from models.session_kind import SessionKind

CALLS = ("call-1", "call-2")
TURN = 3


class Clock:
    """The desk's monotonic clock, moved by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 100.0
        monkeypatch.setattr("activities.desk.time.monotonic", lambda: self.seconds)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def an_agent() -> AgentSession:
    return AgentSession(
        project_id="p", job_id="r_1", sandbox_id="s_1", kind=SessionKind.worker, label="Work", model="m",
        thinking_effort=ThinkingEffort.low, system="s", max_turns=9,
    )  # fmt: skip


def left(desk: Desk, agent: AgentSession, turn: int = TURN) -> None:
    """A conversation whose last answer asks for two calls."""
    said = Said(
        answer_place(turn), MessageRole.assistant, [{"type": "tool_use", "id": call} for call in CALLS]
    )
    standing = Standing(0.5, finished=False, verdict=None)
    desk.leave(agent, Conversation({said.sequence: said}, [], False, standing), CALLS)


def answer(desk: Desk, agent: AgentSession, *calls: str, has_queued: bool = False) -> None:
    for call in calls:
        desk.answer(agent.id, ToolResult(tool_use_id=call, content=f"of {call}"), has_queued=has_queued)


def test_the_next_turn_finds_the_whole_conversation_once(clock: Clock) -> None:
    desk, agent = Desk(), an_agent()
    left(desk, agent)
    answer(desk, agent, *CALLS, has_queued=True)
    clock.seconds += FRESH / 2
    found = desk.take(agent.id, TURN + 1)
    assert found is not None
    assert [result.content for result in found.results] == ["of call-1", "of call-2"]
    assert found.has_queued
    assert desk.take(agent.id, TURN + 1) is None


def test_a_call_is_found_until_it_has_its_result(clock: Clock) -> None:
    desk, agent = Desk(), an_agent()
    left(desk, agent)
    clock.seconds += 3_600  # a tool call may take its time
    assert desk.call(agent.id, answer_place(TURN), "call-2") == (agent, {"type": "tool_use", "id": "call-2"})
    answer(desk, agent, "call-2")
    assert desk.call(agent.id, answer_place(TURN), "call-2") is None
    assert desk.call(agent.id, answer_place(TURN - 1), "call-1") is None
    assert desk.call(agent.id, answer_place(TURN), "another") is None
    assert desk.call("ses_other", answer_place(TURN), "call-1") is None


def test_what_lacks_a_result_has_to_be_read(clock: Clock) -> None:
    desk, agent = Desk(), an_agent()
    left(desk, agent)
    answer(desk, agent, "call-1", "call-1", "another")
    assert desk.take(agent.id, TURN + 1) is None
    answer(desk, agent, "call-2")
    assert desk.take(agent.id, TURN + 1) is None, "it lay there no longer"


@pytest.mark.parametrize("turn", [TURN, TURN + 2])
def test_another_turn_has_to_read(clock: Clock, turn: int) -> None:
    desk, agent = Desk(), an_agent()
    left(desk, agent)
    answer(desk, agent, *CALLS)
    assert desk.take(agent.id, turn) is None


def test_what_lay_too_long_has_to_be_read(clock: Clock) -> None:
    desk, agent = Desk(), an_agent()
    left(desk, agent)
    answer(desk, agent, *CALLS)
    clock.seconds += FRESH
    assert desk.take(agent.id, TURN + 1) is None


def test_it_holds_only_so_many(clock: Clock) -> None:
    desk, agents = Desk(), [an_agent() for _ in range(MOST + 1)]
    for agent in agents[:-1]:
        left(desk, agent)
    answer(desk, agents[0], CALLS[0])  # touched, so it is not the next to go
    left(desk, agents[-1])
    kept = [agent for agent in agents if desk.call(agent.id, answer_place(TURN), "call-2")]
    assert kept == [agents[0], *agents[2:]]
