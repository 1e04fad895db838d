"""One model turn is one activity.  It takes and gives references; the words stay in the database."""

from functools import partial

from pydantic import BaseModel
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.answers import spend, store
from activities.conversations import add_user_words, load, read, user_adds
from activities.credentials import Credentials
from activities.outcomes import MOST_OUTPUT, TurnOutcome, outcome_of
from activities.outside import Outside, outside
from gateways.agent import Turn, TurnRequest
from gateways.conversation import SUMMARY_MAX_TOKENS, compacted, compaction_point, estimate, summary_request
from gateways.errors import ProviderLimit
from gateways.profiles import profile
from gateways.tools import definitions
from kit import logs
from kit.database import Database
from kit.pacing import fingerprint
from kit.recent import Recent
from models import AgentSession, CostRate
from models import Message as MessageRow
from models.agent_session import MessageRole, answer_place, compaction_place
from models.base import JsonObject, now
from models.event import EventType, append
from models.usage import rate_of

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
        self._agents: Recent[str, AgentSession] = Recent(seconds=600)
        """Rows that never change."""
        self._rates: Recent[str, CostRate | None] = Recent(seconds=10)

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnOutcome:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its tokens
        are paid for and cannot be known); killed after, the second execution finds the stored answer.
        """
        place = answer_place(ask.turn)
        async with self.database.statements() as session:
            agent = await self._agents.get(
                ask.session_id, partial(session.get_one, AgentSession, ask.session_id)
            )
            logs.bind(run_id=agent.run_id)
            conversation = await read(session, agent)
            if stored := conversation.rows.get(place):
                held = await load(session, agent.id, place)
                return outcome_of(held, stored, conversation.answered)
            credentials = await self.outside.credentials(session, agent.project_id)
            await self._may_ask(session, credentials)
        if user_adds(conversation, ask.turn, ask.nudge):
            async with self.database.transaction() as session:
                held = await load(session, agent.id, place, lock=True)
                await add_user_words(session, held, conversation, ask.turn, ask.nudge)
        limits = profile(agent.model)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=conversation.messages(),
            tools=definitions(agent.role.kind),
            thinking_effort=agent.thinking_effort.value,
            max_tokens=min(limits.max_output, MOST_OUTPUT),
        )
        began = now()
        turn = await self._ask(credentials, request)
        async with self.database.transaction() as session:
            held = await load(session, agent.id, place, lock=True)
            if held.message:
                return outcome_of(held, held.message, (await read(session, agent)).answered)
            rate = await self._rate(session, turn.model)
            message, answered = store(session, held, ask.turn, turn, rate, credentials.scrubber)
            message.started_at = began
        return outcome_of(held, message, answered)

    @activity.defn
    async def compact(self, ask: TurnInput) -> bool:
        """Put a summary in place of the older part of the conversation; False when that would not pay.

        Killed before it is stored, the summary is asked for again; its place before the turn is unique.
        """
        place = compaction_place(ask.turn)
        async with self.database.transaction() as session:
            held = await load(session, ask.session_id, place, lock=True)
            if held.message:
                return True
            credentials = await self.outside.credentials(session, held.run.project_id)
            await self._may_ask(session, credentials)
            messages = (await read(session, held.agent)).messages()
        agent = held.agent
        kept = min(profile(agent.model).window, estimate(messages)) // 4
        if (point := compaction_point(messages, kept)) is None:
            return False
        request = TurnRequest(
            model=agent.model, system=(agent.system,), messages=summary_request(messages, point),
            max_tokens=SUMMARY_MAX_TOKENS,
        )  # fmt: skip
        turn = await self._ask(credentials, request)
        summary = credentials.scrubber.text(turn.text)
        pays = compacted(messages, point, summary) is not None
        async with self.database.transaction() as session:
            held = await load(session, ask.session_id, place, lock=True)
            if held.message:
                return True
            row = MessageRow(
                session_id=agent.id, sequence=place, role=MessageRole.compaction,
                content=[{"type": "text", "text": summary}], compaction_point=point,
            )  # fmt: skip
            row.cost_usd = spend(session, held, turn, await self._rate(session, turn.model), row.id)
            if pays:
                session.add(row)
                data: JsonObject = {"sessionId": agent.id, "turn": ask.turn}
                append(session, held.run, EventType.context_compacted, data)
        return pays

    async def _rate(self, session: AsyncSession, model: str) -> CostRate | None:
        return await self._rates.get(model, partial(rate_of, session, model))

    async def _may_ask(self, session: AsyncSession, credentials: Credentials) -> None:
        """Keep away while somebody who uses the same key was told to wait."""
        key = fingerprint("model", self.outside.model_key(credentials))
        if held := await self.outside.blocked(session, key):
            raise ProviderLimit(held.reason, held.seconds)

    async def _ask(self, credentials: Credentials, request: TurnRequest) -> Turn:
        """One request; a limit holds up everybody who uses the same key, until the time that it names."""
        try:
            with outside():
                return await self.outside.agent(credentials).turn(request, beat=activity.heartbeat)
        except ProviderLimit as limit:
            key = fingerprint("model", self.outside.model_key(credentials))
            await self.outside.block(key, limit.retry_after or PAUSE_SECONDS, limit.message)
            raise
