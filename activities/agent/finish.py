"""The end of an agent's session as its agent asks for it, accepted once its work is safe."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio import activity

from activities.agent.user_messages import has_queued_messages
from activities.sandboxes.checkpoints import load_touched_paths
from gateways.tools.definitions import parse
from gateways.tools.finish_schemas import EvaluatorFinish, Finish, JudgeFinish
from kit.database import Database
from models import AgentSession, Message, RunStep, ToolCall
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.event import EventType, append_event
from models.jobs.job import Job
from models.jobs.job_lookup import get_job
from models.runs.run_step import StepStatus, Verdict

FINISHED_RESULT: Final = "Finished."
"""The result of a call of `finish` that ends the session."""
UNREAD_MESSAGE_NOTICE: Final = (
    "Not finished: a message from the user has arrived. Deal with it first, then finish."
)
MAX_LISTED_PATHS: Final = 20
"""Protected paths that the agent is told of at once."""
MAX_EVENT_SUMMARY_CHARS: Final = 2_000
"""Characters of a step's summary that its event carries."""


class FinishCall(BaseModel):
    """A call of `finish`, alone in its message and well-formed, that has no result yet."""

    session_id: str
    sequence: int
    """Of the assistant's message that holds it."""
    unsaved_in: str | None = None
    """The sandbox that alone has, or had, something of the session's work."""


class FinishDecision(BaseModel):
    is_finished: bool
    """False: the agent is told why it has to go on."""
    verdict: Verdict | None = None


class FinishActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def accept_finish(self, call: FinishCall) -> FinishDecision:
        """End the session, and the step that it is, unless a message of the user waits.

        An agent whose change touches protected paths is told once, as nothing of it could be pushed; what it
        does not take back then, the push refuses.

        One transaction: killed after its commit, the second execution finds the call's result and says the
        same.
        """
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, call.session_id)
            job = await get_job(session, agent.job_id, lock=True)
            block, result = await _load_call(session, call)
            given = block["input"]
            assert isinstance(given, dict)
            finish = parse(agent.kind, "finish", given)
            assert isinstance(finish, Finish), "every other call is answered with its turn"
            if result is None:
                result = await _find_objection(session, agent, job) or FINISHED_RESULT
                session.add(
                    ToolCall(
                        session_id=agent.id,
                        sequence=call.sequence,
                        tool_use_id=str(block["id"]),
                        name="finish",
                        result=result,
                        is_error=result != FINISHED_RESULT,
                        duration_ms=0,
                    )
                )
                if result == FINISHED_RESULT:
                    agent.finish(finish.model_dump(mode="json"))
                    step = (
                        None if job.is_finished else await _end_step(session, agent, finish, call.unsaved_in)
                    )
                    if step is not None:
                        data = {**_step_event_data(step), "costUsd": float(job.cost_usd)}
                        append_event(session, job, EventType.step_completed, data)
        if result != FINISHED_RESULT:
            return FinishDecision(is_finished=False)
        verdict = finish.model_dump().get("verdict")
        return FinishDecision(is_finished=True, verdict=Verdict(verdict) if verdict else None)


async def _find_objection(session: AsyncSession, agent: AgentSession, job: Job) -> str | None:
    """What the agent has to deal with before it finishes, if anything."""
    if await has_queued_messages(session, job.id):
        return UNREAD_MESSAGE_NOTICE
    touched = await load_touched_paths(session, job.id) if agent.kind is SessionKind.worker else []
    if not touched:
        return None
    notice = protection_notice(touched, job.base_sha)
    told = select(col(ToolCall.id)).where(
        col(ToolCall.session_id) == agent.id, col(ToolCall.name) == "finish", col(ToolCall.result) == notice
    )
    return None if (await session.execute(told.limit(1))).first() is not None else notice


def protection_notice(touched: Sequence[str], base_sha: str | None) -> str:
    """What the agent is told of protected paths that its change touches."""
    shown = "\n".join(f"- {path}" for path in touched[:MAX_LISTED_PATHS])
    more = f"\n- and {len(touched) - MAX_LISTED_PATHS} more" if len(touched) > MAX_LISTED_PATHS else ""
    return (
        f"Not finished: your change touches paths that this project protects:\n{shown}{more}\n"
        "As long as it does, nothing of your work can be pushed. Take back what you changed there, for "
        f"instance by `git checkout {base_sha} -- PATH`, or by removing what is not in that commit; then "
        "finish. If the task cannot be done without them, say so in your summary and finish again."
    )


async def _load_call(session: AsyncSession, call: FinishCall) -> tuple[JsonObject, str | None]:
    """The call's block, and its result if it has one."""
    message = select(Message).where(
        col(Message.session_id) == call.session_id, col(Message.sequence) == call.sequence
    )
    content = (await session.execute(message)).scalar_one().content
    block: JsonObject = next(block for block in content if block["type"] == "tool_use")
    stored = select(col(ToolCall.result)).where(
        col(ToolCall.session_id) == call.session_id, col(ToolCall.sequence) == call.sequence
    )
    return block, (await session.execute(stored)).scalar_one_or_none()


async def _end_step(
    session: AsyncSession, agent: AgentSession, finish: Finish, unsaved_in: str | None
) -> RunStep | None:
    """The step that the session is, as its agent ends it; None if it is none, or had ended before."""
    if agent.step_id is None:
        return None
    step = await session.get_one(RunStep, agent.step_id, with_for_update=True)
    given = finish.model_dump()
    scored = finish if isinstance(finish, EvaluatorFinish | JudgeFinish) else None
    is_ended = step.close(
        StepStatus.completed,
        unsaved_in=unsaved_in,
        output=finish.summary,
        verdict=Verdict(given["verdict"]) if "verdict" in given else None,
        feedback=given.get("feedback"),
        score=scored.score if scored else None,
        reasons=scored.reasons if scored else None,
        ranking=given.get("ranking"),
    )
    return step if is_ended else None


def _step_event_data(step: RunStep) -> JsonObject:
    """A step's end as its event tells it."""
    return {
        "stepId": step.id,
        "index": step.index,
        "iteration": step.iteration,
        "label": step.label,
        "verdict": step.verdict,
        "score": step.quality_score,
        "reasons": step.quality_reasons,
        "summary": (step.output or "")[:MAX_EVENT_SUMMARY_CHARS],
    }
