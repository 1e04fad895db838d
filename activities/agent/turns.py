"""One model turn is one activity.  It takes and gives references; the words stay in the database."""

from functools import partial

from pydantic import BaseModel
from temporalio import activity

from activities.agent.conversation import Speaker, read_conversation, read_speaker
from activities.agent.images import Images
from activities.agent.model_caller import Asking
from activities.agent.outcomes import MOST_OUTPUT, TurnOutcome, outcome_of
from activities.agent.turn_store import store_answer
from activities.agent.user_messages import add_user_words, user_adds
from activities.budgets.call_reservations import Paying
from activities.budgets.spending import spending_of
from activities.budgets.token_bounds import last_count
from activities.gateway_factory import Outside
from activities.jobs.active_time import Timed
from activities.jobs.lifecycle import bind_job
from activities.jobs.resumption import found_done
from activities.runs.files import Files
from gateways.anthropic.client import TurnRequest
from gateways.anthropic.conversation import (
    SUMMARY_MAX_TOKENS,
    compacted,
    compaction_point,
    estimate,
    summary_request,
)
from gateways.anthropic.model_profiles import profile
from gateways.tools.definitions import definitions
from kit.database import Database
from kit.ttl_cache import Recent
from models import Message
from models.agent.session import MessageRole, answer_place, compaction_place
from models.agent.turn import Turn, record_turn
from models.base import JsonObject, now
from models.event import EventType


class TurnInput(BaseModel):
    session_id: str
    turn: int
    nudge: bool = False
    """Tell the agent to go on, as its last answer neither called a tool nor finished."""
    lost_sandbox: str | None = None
    """A sandbox of whose loss the agent is told before this turn."""


class Compaction(Timed):
    is_shorter: bool
    """False: a summary would not pay, so the conversation is as it was."""


class AgentTurns:
    def __init__(self, database: Database, outside: Outside) -> None:
        self.database = database
        self.images = Images(Files(database, outside.settings))
        self._model = Asking(database, outside)
        self._paying = Paying(database, self._model)
        self._speakers: Recent[str, Speaker] = Recent(seconds=600)

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnOutcome:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its input is
        charged by the reconciler, its output cannot be known); killed after, the second execution finds the
        stored answer.
        """
        sequence = answer_place(ask.turn)
        speaker = await self._speaker(ask.session_id)
        agent = speaker.agent
        conversation = await read_conversation(self.database, agent)
        if sequence in conversation.stored:
            found_done("The model's answer was stored.")
            return outcome_of(agent, conversation, sequence)
        credentials = await self._model.allowed(agent)
        if user_adds(conversation, ask.turn, ask.nudge or ask.lost_sandbox is not None):
            async with self.database.transaction() as session:
                lost = ask.lost_sandbox
                await add_user_words(session, agent, conversation, ask.turn, ask.nudge, lost)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=await self.images.fill(conversation.messages()),
            tools=definitions(agent.kind),
            thinking_effort=agent.thinking_effort.value,
            max_tokens=min(profile(agent.model).max_output, MOST_OUTPUT),
        )
        began = now()
        async with self._paying.pay(
            credentials, speaker, sequence, request, last_count(conversation)
        ) as paid:
            answer = await self._model.ask(credentials, paid.request, paid.meter)
            rate = await self._paying.rate_of(paid, answer)
            stored = await store_answer(
                self.database,
                speaker,
                sequence,
                began,
                answer,
                rate,
                credentials.redactor,
                paid.source_id,
                counts_for_quota=paid.call.counts_for_quota,
            )
            paid.is_settled = stored is not None
        if stored is None:  # another execution of this very turn has
            return outcome_of(agent, await read_conversation(self.database, agent), sequence)
        return outcome_of(agent, conversation.with_answer(*stored), sequence)

    @activity.defn
    async def compact(self, ask: TurnInput) -> Compaction:
        """Put a summary in place of the older part of the conversation, unless that would not pay.

        Killed before it is stored, the summary is asked for again; its place before the turn is unique.
        """
        sequence = compaction_place(ask.turn)
        speaker = await self._speaker(ask.session_id)
        agent = speaker.agent
        conversation = await read_conversation(self.database, agent)
        if sequence in conversation.stored:
            found_done("The summary was stored.")
            return Compaction(is_shorter=True)
        credentials = await self._model.allowed(agent)
        messages = conversation.messages()
        kept = min(profile(agent.model).window, estimate(messages)) // 4
        if (point := compaction_point(messages, kept)) is None:
            return Compaction(is_shorter=False)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=summary_request(messages, point),
            max_tokens=SUMMARY_MAX_TOKENS,
        )
        began = now()
        async with self._paying.pay(credentials, speaker, sequence, request) as paid:
            answer = await self._model.ask(credentials, paid.request, paid.meter)
            summary = credentials.redactor.text(answer.text)
            pays = compacted(messages, point, summary) is not None
            message = Message(
                id=paid.source_id,
                session_id=agent.id,
                sequence=sequence,
                role=MessageRole.compaction,
                content=[{"type": "text", "text": summary}],
                compaction_point=point,
                started_at=began,
            )
            rate = await self._paying.rate_of(paid, answer)
            spending = spending_of(
                speaker,
                answer.usage,
                rate,
                message.id,
                sequence,
                counts_for_quota=paid.call.counts_for_quota,
            )
            message.cost_usd = spending.cost_usd
            data: JsonObject = {"sessionId": agent.id, "turn": ask.turn}
            turn = Turn(
                agent,
                spending,
                message if pays else None,
                [(EventType.context_compacted, data)] if pays else [],
                progress=f"{agent.label}: the context is compacted",
            )
            async with self.database.transaction() as session:
                paid.is_settled = await record_turn(session, turn) is not None
        return Compaction(is_shorter=pays)

    async def _speaker(self, session_id: str) -> Speaker:
        known = await self._speakers.get(session_id, partial(read_speaker, self.database, session_id))
        bind_job(known.agent.job_id)
        return known
