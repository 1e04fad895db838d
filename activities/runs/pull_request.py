"""The intent to open a pull request and what became of it, on the run's row, in the ledger and in the log."""

from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.runs.step_outputs import StepOutput, load_step_outputs
from gateways.github.client import PullRequestFacts
from gateways.github.markers import marker
from kit.database import Database
from models import JobSnapshot, Run
from models.base import JsonObject
from models.effect import EffectKind, record_intent
from models.event import EventType, append_event
from models.jobs.snapshot import Snapshot
from models.notifications.notification import NotificationType, notify_members


class PullRequestIntent(NamedTuple):
    """What a pull request is made of."""

    run: Run
    outputs: list[StepOutput]


def pull_request_marker(run_id: str) -> str:
    """By which a run's pull request is known."""
    return marker("run", run_id)


async def record_pull_request_intent(database: Database, run_id: str) -> PullRequestIntent | None:
    """Write down that it is about to be opened, once; None when it is open."""
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        if not run.pr_opening():
            return None
        await record_intent(session, run_id, EffectKind.pull_request)
        return PullRequestIntent(run, await load_step_outputs(session, run_id))


async def record_pull_request_search(database: Database, run_id: str) -> None:
    """Leave an open intent, so that the sweep looks on GitHub for a pull request that no row knows of.

    For a run that may have done more than its row says, as after the restore of a dump.
    """
    async with database.transaction() as session:
        run = await session.get_one(Run, run_id, with_for_update=True)
        stored = await session.get(JobSnapshot, run_id)
        is_wanted = stored is not None and Snapshot.model_validate(stored.document).config.create_pr
        if is_wanted and run.pr_status is None:
            await record_intent(session, run_id, EffectKind.pull_request)


async def record_opened(session: AsyncSession, run: Run, facts: PullRequestFacts) -> None:
    """It is open; written once.  The caller holds the run's row."""
    if not run.pr_opened(facts.url, facts.number):
        return
    data: JsonObject = {"url": facts.url, "number": facts.number}
    (await record_intent(session, run.id, EffectKind.pull_request)).complete(data)
    event = append_event(session, run, EventType.pr_created, data)
    title = f"Run {run.run_number} opened a pull request"
    await notify_members(
        session, event, NotificationType.pr_created, title, facts.url, {"runId": run.id, **data}
    )


async def record_failed(session: AsyncSession, run: Run, reason: str) -> bool:
    """It never came to be, which is written once; False where none was being opened.

    The caller holds the run's row.
    """
    if not run.pr_failed():
        return False
    (await record_intent(session, run.id, EffectKind.pull_request)).complete({"reason": reason})
    event = append_event(session, run, EventType.pr_failed, {"reason": reason})
    title = f"Run {run.run_number} opened no pull request"
    await notify_members(session, event, NotificationType.pr_failed, title, reason, {"runId": run.id})
    return True
