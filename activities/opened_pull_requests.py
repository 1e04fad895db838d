"""What became of the intent to open a pull request, on the run's row, in the ledger and in the log."""

from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.github import PullRequestFacts
from models import Effect, Run
from models.base import JsonObject, now
from models.event import EventType, append
from models.notification import NotificationType, notify
from models.run import PrStatus


def effect_key(run_id: str) -> str:
    return f"{run_id}:pull-request"


def marker_of(run_id: str) -> str:
    """By which a run's pull request is known, whatever became of its title and text."""
    return f"<!-- codecourier:run {run_id} -->"


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
    with session.no_autoflush:  # what changed on the run's row goes out with the rest
        effect = await session.get_one(Effect, effect_key(run.id))
    effect.done_at, effect.result = now(), result
