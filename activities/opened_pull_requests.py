"""The intent to open a pull request and what became of it, on the run's row, in the ledger and in the log."""

from typing import Final, NamedTuple

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.step_outputs import OUTPUTS, StepOutput, step_outputs
from gateways.github import PullRequestFacts
from kit.direct import Direct
from models import Effect, Run
from models.base import JsonObject, now
from models.event import EventType, append
from models.notification import NotificationType, notify
from models.run import PrStatus

_INTEND: Final = """
    WITH run AS (
        UPDATE run SET pr_status = 'creating' WHERE id = %(run)s AND pr_url IS NULL RETURNING *
    ), intended AS (
        INSERT INTO effect (key, subject_id, kind, intended_at)
        SELECT %(key)s, id, 'pull-request', %(now)s FROM run ON CONFLICT DO NOTHING
    )
    SELECT to_jsonb(run), {outputs} FROM run
"""
"""Harmless to repeat: the run's own column says whether it is open, and the ledger's key is unique."""


class Intent(NamedTuple):
    """What a pull request is made of."""

    run: Run
    outputs: list[StepOutput]


def effect_key(run_id: str) -> str:
    return f"{run_id}:pull-request"


def marker_of(run_id: str) -> str:
    """By which a run's pull request is known, whatever became of its title and text."""
    return f"<!-- codecourier:run {run_id} -->"


async def intend(direct: Direct, run_id: str) -> Intent | None:
    """Write down that it is about to be opened, once; None when it is open."""
    values = {"run": run_id, "key": effect_key(run_id), "now": now()}
    found = await direct.fetch(_INTEND.format(outputs=OUTPUTS), values)
    return Intent(Run.model_validate(found[0][0]), step_outputs(found[0][1])) if found else None


async def opened(session: AsyncSession, run: Run, facts: PullRequestFacts) -> None:
    """It is open; written once.  The caller holds the run's row."""
    if run.pr_url:
        return
    data: JsonObject = {"url": facts.url, "number": facts.number}
    await _close_intent(session, run, data)
    run.pr_status, run.pr_url, run.pr_number = PrStatus.created, facts.url, facts.number
    event = append(session, run, EventType.pr_created, data)
    title = f"Run {run.run_number} opened a pull request"
    await notify(session, event, NotificationType.pr_created, title, facts.url, {"runId": run.id, **data})


async def not_opened(session: AsyncSession, run: Run, reason: str) -> None:
    """It never came to be; written once.  The caller holds the run's row."""
    if run.pr_url or run.pr_status is PrStatus.failed:
        return
    run.pr_status = PrStatus.failed
    await _close_intent(session, run, {"reason": reason})
    event = append(session, run, EventType.pr_failed, {"reason": reason})
    title = f"Run {run.run_number} opened no pull request"
    await notify(session, event, NotificationType.pr_failed, title, reason, {"runId": run.id})


async def _close_intent(session: AsyncSession, run: Run, result: JsonObject) -> None:
    statement = update(Effect).where(col(Effect.key) == effect_key(run.id))
    with session.no_autoflush:  # what changed on the run's row goes out with the rest
        await session.execute(statement.values(done_at=now(), result=result))
