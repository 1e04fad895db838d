"""Model turns, one activity each, and what a stored answer asks the workflow to do next.

A turn takes and gives references; the text stays in the database.
"""

from functools import partial
from typing import Literal

from pydantic import BaseModel, Field
from temporalio import activity

from activities.agent.conversation import (
    Conversation,
    SessionContext,
    load_conversation,
    load_session_context,
)
from activities.agent.images import ImageLoader
from activities.agent.model_caller import ModelCaller
from activities.agent.turn_store import store_turn
from activities.agent.user_messages import append_user_message, has_user_input
from activities.budgets.call_reservations import CallReservations
from activities.budgets.spending import build_spending
from activities.budgets.token_bounds import last_usage_of
from activities.gateway_factory import GatewayFactory
from activities.jobs.lifecycle import TimedResult, bind_job
from activities.jobs.resumption import note_already_done
from activities.runs.files import FileStore
from gateways.anthropic.client import TurnRequest
from gateways.anthropic.conversation import (
    SUMMARY_MAX_TOKENS,
    Usage,
    compact_messages,
    compaction_point,
    estimate_tokens,
    needs_compaction,
    summary_request,
)
from gateways.anthropic.model_profiles import model_profile
from gateways.tools.definitions import SANDBOX_TOOLS, definitions, may_write
from kit.database import Database
from kit.ttl_cache import TTLCache
from models import AgentSession, Message
from models.agent.session import MessageRole, compaction_sequence, turn_sequence
from models.agent.session_kind import SessionKind
from models.agent.transcript import StoredMessage
from models.agent.turn import TurnRecord, record_turn
from models.base import JsonObject, now
from models.event import EventType

MAX_OUTPUT_TOKENS = 32_000
"""Tokens that one answer may have; models that can give less are asked for less."""
NextAction = Literal["tools", "finish", "finished", "nudge", "refused"]
"""`finish`: the agent asks to end; `finished`: it has nothing more to say and may be spoken to again."""


class PendingCall(BaseModel):
    id: str
    name: str
    in_sandbox: bool = True
    """It is carried out there."""
    may_write: bool = True
    """It may change files there."""

    @classmethod
    def of(cls, block: JsonObject) -> "PendingCall":
        name, given = str(block["name"]), block["input"]
        assert isinstance(given, dict)
        return cls(
            id=str(block["id"]), name=name, in_sandbox=name in SANDBOX_TOOLS, may_write=may_write(name, given)
        )


class TurnResult(TimedResult):
    next: NextAction
    calls: list[PendingCall] = Field(default_factory=list)
    """To be carried out, all at once."""
    compact: bool = False
    """The next turn may not fit the model's window: compact first."""


def build_turn_result(agent: AgentSession, conversation: Conversation, place: int) -> TurnResult:
    """What the answer in this place asks for; calls that need no sandbox, or have their result, do not.

    The same for the same rows, so that a repeated activity returns what the first one did.
    """
    answer, answered = conversation.stored[place], conversation.answered_call_ids(place)
    asked = [block for block in answer.content if block["type"] == "tool_use"]
    calls = [PendingCall.of(block) for block in asked if block["id"] not in answered]
    verb: NextAction = "tools" if asked else "nudge"
    if agent.kind is SessionKind.companion and _awaits_user(answer):
        verb = "finished"
    elif answer.stop_reason == "refusal":
        verb = "refused"
    elif any(call.name == "finish" for call in calls):
        verb, calls = "finish", []
    window = model_profile(agent.model).window
    usage = Usage.model_validate(answer.usage)
    return TurnResult(
        next=verb,
        calls=calls,
        compact=needs_compaction(usage, window, MAX_OUTPUT_TOKENS + window // 10),
    )


def _awaits_user(answer: StoredMessage) -> bool:
    """Whether a companion has answered its user and waits for the next message."""
    return answer.stop_reason in ("end_turn", "stop_sequence")


class TurnInput(BaseModel):
    session_id: str
    turn: int
    nudge: bool = False
    """Tell the agent to go on, as its last answer neither called a tool nor finished."""
    lost_sandbox: str | None = None
    """A sandbox of whose loss the agent is told before this turn."""


class CompactionResult(TimedResult):
    is_shorter: bool
    """False: a summary would not pay, so the conversation is as it was."""


class TurnActivities:
    def __init__(self, database: Database, outside: GatewayFactory) -> None:
        self.database = database
        self.images = ImageLoader(FileStore(database, outside.settings))
        self._model = ModelCaller(database, outside)
        self._reservations = CallReservations(database, self._model)
        self._contexts: TTLCache[str, SessionContext] = TTLCache(seconds=600)

    @activity.defn
    async def model_turn(self, ask: TurnInput) -> TurnResult:
        """Ask the model for its next answer and store it.

        Killed before the answer is stored, the turn is asked again and the first answer is lost (its input is
        charged by the reconciler, its output cannot be known); killed after, the second execution finds the
        stored answer.
        """
        sequence = turn_sequence(ask.turn)
        speaker = await self._load_context(ask.session_id)
        agent = speaker.agent
        conversation = await load_conversation(self.database, agent)
        if sequence in conversation.stored:
            note_already_done("The model's answer was stored.")
            return build_turn_result(agent, conversation, sequence)
        credentials = await self._model.require_capacity(agent)
        if has_user_input(conversation, ask.turn, ask.nudge or ask.lost_sandbox is not None):
            async with self.database.transaction() as session:
                lost = ask.lost_sandbox
                await append_user_message(session, agent, conversation, ask.turn, ask.nudge, lost)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=await self.images.inline_images(conversation.messages()),
            tools=definitions(agent.kind),
            thinking_effort=agent.thinking_effort.value,
            max_tokens=min(model_profile(agent.model).max_output, MAX_OUTPUT_TOKENS),
        )
        began = now()
        async with self._reservations.reserve(
            credentials, speaker, sequence, request, last_usage_of(conversation)
        ) as paid:
            answer = await self._model.complete(credentials, paid.request, paid.meter)
            rate = await self._reservations.rate_of(paid, answer)
            stored = await store_turn(
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
            return build_turn_result(agent, await load_conversation(self.database, agent), sequence)
        return build_turn_result(agent, conversation.with_turn(*stored), sequence)

    @activity.defn
    async def compact(self, ask: TurnInput) -> CompactionResult:
        """Put a summary in place of the older part of the conversation, unless that would not pay.

        Killed before it is stored, the summary is asked for again; its place before the turn is unique.
        """
        sequence = compaction_sequence(ask.turn)
        speaker = await self._load_context(ask.session_id)
        agent = speaker.agent
        conversation = await load_conversation(self.database, agent)
        if sequence in conversation.stored:
            note_already_done("The summary was stored.")
            return CompactionResult(is_shorter=True)
        credentials = await self._model.require_capacity(agent)
        messages = conversation.messages()
        kept = min(model_profile(agent.model).window, estimate_tokens(messages)) // 4
        if (point := compaction_point(messages, kept)) is None:
            return CompactionResult(is_shorter=False)
        request = TurnRequest(
            model=agent.model,
            system=(agent.system,),
            messages=summary_request(messages, point),
            max_tokens=SUMMARY_MAX_TOKENS,
        )
        began = now()
        async with self._reservations.reserve(credentials, speaker, sequence, request) as paid:
            answer = await self._model.complete(credentials, paid.request, paid.meter)
            summary = credentials.redactor.redact_text(answer.text)
            pays = compact_messages(messages, point, summary) is not None
            message = Message(
                id=paid.source_id,
                session_id=agent.id,
                sequence=sequence,
                role=MessageRole.compaction,
                content=[{"type": "text", "text": summary}],
                compaction_point=point,
                started_at=began,
            )
            rate = await self._reservations.rate_of(paid, answer)
            spending = build_spending(
                speaker,
                answer.usage,
                rate,
                message.id,
                sequence,
                counts_for_quota=paid.call.counts_for_quota,
            )
            message.cost_usd = spending.cost_usd
            data: JsonObject = {"sessionId": agent.id, "turn": ask.turn}
            turn = TurnRecord(
                agent,
                spending,
                message if pays else None,
                [(EventType.context_compacted, data)] if pays else [],
                progress=f"{agent.label}: the context is compacted",
            )
            async with self.database.transaction() as session:
                paid.is_settled = await record_turn(session, turn) is not None
        return CompactionResult(is_shorter=pays)

    async def _load_context(self, session_id: str) -> SessionContext:
        known = await self._contexts.get(session_id, partial(load_session_context, self.database, session_id))
        bind_job(known.agent.job_id)
        return known
