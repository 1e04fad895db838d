"""One model turn is one activity.  It takes and gives references; the words stay in the database."""

from functools import partial

from pydantic import BaseModel
from temporalio import activity

from activities.answers import Stored, store
from activities.conversations import Speaker, read, speaker
from activities.credentials import Credentials
from activities.jobs import bind_job
from activities.outcomes import MOST_OUTPUT, TurnOutcome, outcome_of
from activities.outside import Outside, outside
from activities.recording import Record, Spending, record
from activities.user_words import add_user_words, user_adds
from gateways.agent import Turn, TurnRequest
from gateways.conversation import SUMMARY_MAX_TOKENS, compacted, compaction_point, estimate, summary_request
from gateways.errors import ProviderLimit
from gateways.profiles import profile
from gateways.tools import definitions
from kit.database import Database
from kit.pacing import fingerprint
from kit.recent import Recent
from models import AgentSession, CostRate
from models import Message as MessageRow
from models.agent_session import MessageRole, answer_place, compaction_place
from models.base import JsonObject, now
from models.event import EventType
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
        self._speakers: Recent[str, Speaker] = Recent(seconds=600)
        self._rates: Recent[str, CostRate | None] = Recent(seconds=10)

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnOutcome:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its tokens
        are paid for and cannot be known); killed after, the second execution finds the stored answer.
        """
        place = answer_place(ask.turn)
        speaker = await self._speaker(ask.session_id)
        agent = speaker.agent
        conversation = await read(self.database.direct, agent)
        if stored := conversation.said.get(place):
            return outcome_of(agent.model, conversation.standing, stored, conversation.answered)
        credentials = await self._may_ask(agent)
        if user_adds(conversation, ask.turn, ask.nudge):
            async with self.database.transaction() as session:
                await add_user_words(session, agent, conversation, ask.turn, ask.nudge)
        limits = profile(agent.model)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=conversation.messages(),
            tools=definitions(agent.kind),
            thinking_effort=agent.thinking_effort.value,
            max_tokens=min(limits.max_output, MOST_OUTPUT),
        )
        message = MessageRow(session_id=agent.id, sequence=place, role=MessageRole.assistant, content=[])
        turn = await self._ask(credentials, request)
        message.completed_at = now()
        rate = await self._rate(turn.model)
        kept = await store(self.database.direct, speaker, message, turn, rate, credentials.scrubber)
        if kept is None:  # by another execution of this very turn
            conversation = await read(self.database.direct, agent)
            kept = Stored(conversation.standing, conversation.said[place], conversation.answered)
        return outcome_of(agent.model, *kept)

    @activity.defn
    async def compact(self, ask: TurnInput) -> bool:
        """Put a summary in place of the older part of the conversation; False when that would not pay.

        Killed before it is stored, the summary is asked for again; its place before the turn is unique.
        """
        place = compaction_place(ask.turn)
        speaker = await self._speaker(ask.session_id)
        agent = speaker.agent
        conversation = await read(self.database.direct, agent)
        if place in conversation.said:
            return True
        credentials = await self._may_ask(agent)
        messages = conversation.messages()
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
        row = MessageRow(
            session_id=agent.id, sequence=place, role=MessageRole.compaction,
            content=[{"type": "text", "text": summary}], compaction_point=point,
        )  # fmt: skip
        spent = Spending.of(speaker, turn.usage, await self._rate(turn.model), row.id)
        row.cost_usd = spent.total
        data: JsonObject = {"sessionId": agent.id, "turn": ask.turn}
        said = Record(row, [(EventType.context_compacted, data)]) if pays else Record(None, [])
        await record(self.database.direct, speaker, spent, said)
        return pays

    async def _speaker(self, session_id: str) -> Speaker:
        read_once = partial(speaker, self.database.direct, session_id)
        known = await self._speakers.get(session_id, read_once)
        bind_job(known.agent.job_id)
        return known

    async def _rate(self, model: str) -> CostRate | None:
        async def read_now() -> CostRate | None:
            async with self.database.reading() as session:
                return await rate_of(session, model)

        return await self._rates.get(model, read_now)

    async def _may_ask(self, agent: AgentSession) -> Credentials:
        """The project's credentials; keep away while somebody who uses the same key was told to wait."""
        credentials = await self.outside.credentials(agent.project_id)
        key = fingerprint("model", self.outside.model_key(credentials))
        if held := await self.outside.blocked(key):
            raise ProviderLimit(held.reason, held.seconds)
        return credentials

    async def _ask(self, credentials: Credentials, request: TurnRequest) -> Turn:
        """One request; a limit holds up everybody who uses the same key, until the time that it names."""
        try:
            with outside():
                return await self.outside.agent(credentials).turn(request)
        except ProviderLimit as limit:
            key = fingerprint("model", self.outside.model_key(credentials))
            await self.outside.block(key, limit.retry_after or PAUSE_SECONDS, limit.message)
            raise
