"""One model turn is one activity.  It takes and gives references; the words stay in the database."""

from pydantic import BaseModel
from temporalio import activity

from activities import conversations
from activities.answers import store
from activities.outcomes import MOST_OUTPUT, TurnOutcome, outcome_of
from activities.outside import Credentials, Outside, outside
from gateways.agent import Turn, TurnRequest
from gateways.conversation import (
    SUMMARY_MAX_TOKENS,
    compacted,
    compaction_point,
    summary_request,
)  # fmt: skip
from gateways.errors import ProviderLimit
from gateways.profiles import profile
from gateways.tools import definitions
from kit.database import Database
from kit.pacing import block, blocked, fingerprint
from models import AgentSession, Run
from models import Message as MessageRow
from models.agent_session import MessageRole, answer_place, compaction_place
from models.event import EventType, append

PAUSE_SECONDS = 5.0
"""How long everybody keeps away from an overloaded model that named no time."""


class TurnInput(BaseModel):
    session_id: str
    turn: int
    nudge: bool = False
    """Tell the agent to go on, as its last answer neither called a tool nor finished."""


class AgentTurns:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.outside = outside

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnOutcome:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its tokens
        are paid for and cannot be known); killed after, the second execution finds the stored answer.
        """
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, ask.session_id)
            run = await session.get_one(Run, agent.run_id, with_for_update=True)
            if answered := await conversations.message_at(session, agent.id, answer_place(ask.turn)):
                return await outcome_of(session, run, agent, answered)
            await conversations.add_user_words(session, run, agent.id, ask.turn, ask.nudge)
            credentials = await self.outside.credentials(session, run.project_id)
            messages = await conversations.read(session, agent.id)
        limits = profile(agent.model)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=messages,
            tools=definitions(agent.role.kind),
            thinking_effort=agent.thinking_effort.value,
            max_tokens=min(limits.max_output, MOST_OUTPUT),
        )
        turn = await self._ask(credentials, request)
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, ask.session_id)
            run = await session.get_one(Run, agent.run_id, with_for_update=True)
            if answered := await conversations.message_at(session, agent.id, answer_place(ask.turn)):
                return await outcome_of(session, run, agent, answered)
            message = await store(session, run, agent, ask.turn, turn, credentials.scrubber)
            return await outcome_of(session, run, agent, message)

    @activity.defn
    async def compact(self, ask: TurnInput) -> bool:
        """Put a summary in place of the older part of the conversation; False when that would not pay.

        Killed before it is stored, the summary is asked for again; its place before the turn is unique.
        """
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, ask.session_id)
            if await conversations.message_at(session, agent.id, compaction_place(ask.turn)):
                return True
            credentials = await self.outside.credentials(session, agent.project_id)
            messages = await conversations.read(session, agent.id)
        if (point := compaction_point(messages, profile(agent.model).window // 4)) is None:
            return False
        request = TurnRequest(
            model=agent.model, system=(agent.system,), messages=summary_request(messages, point),
            max_tokens=SUMMARY_MAX_TOKENS,
        )  # fmt: skip
        summary = credentials.scrubber.text((await self._ask(credentials, request)).text)
        if compacted(messages, point, summary) is None:
            return False
        async with self.database.transaction() as session:
            run = await session.get_one(Run, agent.run_id, with_for_update=True)
            if await conversations.message_at(session, agent.id, compaction_place(ask.turn)) is None:
                session.add(
                    MessageRow(
                        session_id=agent.id, sequence=compaction_place(ask.turn), role=MessageRole.compaction,
                        content=[{"type": "text", "text": summary}], compaction_point=point,
                    )
                )  # fmt: skip
                await append(
                    session, run, EventType.context_compacted, {"sessionId": agent.id, "turn": ask.turn}
                )
        return True

    async def _ask(self, credentials: Credentials, request: TurnRequest) -> Turn:
        """One request; a limit holds up everybody who uses the same key, until the time that it names."""
        key = fingerprint("model", self.outside.model_key(credentials))
        if held := await blocked(self.database, key):
            raise ProviderLimit(held.reason, held.seconds)
        async with self.outside.agent(credentials) as agent:
            try:
                with outside():
                    return await agent.turn(request, beat=activity.heartbeat)
            except ProviderLimit as limit:
                await block(self.database, key, limit.retry_after or PAUSE_SECONDS, limit.message)
                raise
