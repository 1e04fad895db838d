"""One model turn is one activity.  It takes and gives references; the words stay in the database."""

from functools import partial

from pydantic import BaseModel
from temporalio import activity

from activities.answers import store
from activities.asking import Asking
from activities.conversations import Speaker, read, speaker
from activities.desk import Desk
from activities.jobs import bind_job
from activities.outcomes import MOST_OUTPUT, TurnOutcome, outcome_of
from activities.outside import Outside
from activities.recording import NewMessage, Record, record
from activities.spending import Spending
from activities.user_words import add_user_words, user_adds
from gateways.agent import TurnRequest
from gateways.conversation import SUMMARY_MAX_TOKENS, compacted, compaction_point, estimate, summary_request
from gateways.profiles import profile
from gateways.tools import definitions
from kit.database import Database
from kit.ids import new_id
from kit.recent import Recent
from models.agent_session import MessageRole, answer_place, compaction_place
from models.base import JsonObject, now
from models.event import EventType


class TurnInput(BaseModel):
    session_id: str
    turn: int
    nudge: bool = False
    """Tell the agent to go on, as its last answer neither called a tool nor finished."""


class AgentTurns:
    def __init__(self, database: Database, outside: Outside, desk: Desk) -> None:
        self.database = database
        self.desk = desk
        self._model = Asking(database, outside)
        self._speakers: Recent[str, Speaker] = Recent(seconds=600)

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnOutcome:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its tokens
        are paid for and cannot be known); killed after, the second execution finds the stored answer.
        """
        place = answer_place(ask.turn)
        speaker = await self._speaker(ask.session_id)
        agent = speaker.agent
        known = self.desk.take(agent.id, ask.turn) if activity.info().attempt == 1 else None
        conversation = known or await read(self.database.direct, agent)
        if place in conversation.said:
            return outcome_of(agent.model, conversation, place)
        credentials = await self._model.allowed(agent)
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
        began = now()
        turn = await self._model.ask(credentials, request)
        rate = await self._model.rate(turn.model)
        kept = await store(self.database.direct, speaker, place, began, turn, rate, credentials.scrubber)
        if kept is None:  # another execution of this very turn has
            return outcome_of(agent.model, await read(self.database.direct, agent), place)
        conversation = conversation.with_answer(*kept)
        outcome = outcome_of(agent.model, conversation, place)
        if outcome.calls and not outcome.compact:
            self.desk.leave(agent, conversation, [call.id for call in outcome.calls])
        return outcome

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
        credentials = await self._model.allowed(agent)
        messages = conversation.messages()
        kept = min(profile(agent.model).window, estimate(messages)) // 4
        if (point := compaction_point(messages, kept)) is None:
            return False
        request = TurnRequest(
            model=agent.model, system=(agent.system,), messages=summary_request(messages, point),
            max_tokens=SUMMARY_MAX_TOKENS,
        )  # fmt: skip
        began = now()
        turn = await self._model.ask(credentials, request)
        summary = credentials.scrubber.text(turn.text)
        pays = compacted(messages, point, summary) is not None
        message = NewMessage(
            agent.id, place, MessageRole.compaction, [{"type": "text", "text": summary}], began,
            new_id("msg"), compaction_point=point,
        )  # fmt: skip
        rate = await self._model.rate(turn.model)
        spent = Spending.of(speaker, turn.usage, rate, message.id)
        data: JsonObject = {"sessionId": agent.id, "turn": ask.turn}
        said = Record(message, [(EventType.context_compacted, data)]) if pays else Record(None, [])
        await record(self.database.direct, speaker, spent, said)
        return pays

    async def _speaker(self, session_id: str) -> Speaker:
        read_once = partial(speaker, self.database.direct, session_id)
        known = await self._speakers.get(session_id, read_once)
        bind_job(known.agent.job_id)
        return known
