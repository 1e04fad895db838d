"""A run's pull request: its text, the intent to open it, and what became of it in row, ledger and log.

In the text, what users and agents wrote is quoted and holds no marker: what is not quoted is the platform's
own.
"""

from typing import NamedTuple

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.runs.step_outputs import StepOutput, load_step_outputs
from activities.verification.pull_request_section import verification_section
from gateways.anthropic.conversation import truncate
from gateways.github.client import PullRequestFacts
from gateways.github.inert_markdown import neutralize_markdown
from gateways.github.markers import marker, without_markers
from kit.database import Database
from models import JobSnapshot, Run
from models.base import JsonObject
from models.effect import EffectKind, record_intent
from models.event import EventType, append_event
from models.jobs.snapshot import Snapshot
from models.notifications.notification import NotificationType, notify_members
from models.runs.run_step import Verdict
from models.verification.verification import Verification


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
        if not run.mark_pr_opening():
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
    if not run.mark_pr_opened(facts.url, facts.number):
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
    if not run.mark_pr_failed():
        return False
    (await record_intent(session, run.id, EffectKind.pull_request)).complete({"reason": reason})
    event = append_event(session, run, EventType.pr_failed, {"reason": reason})
    title = f"Run {run.run_number} opened no pull request"
    await notify_members(session, event, NotificationType.pr_failed, title, reason, {"runId": run.id})
    return True


MAX_BODY_CHARS = 60_000
"""Characters of a body; GitHub takes 65,536."""
MAX_REPORT_CHARS, MIN_REPORT_CHARS = 4_000, 50
"""Characters of the task, and of each report; where there are many, they are cut shorter."""
_VERDICT_TEXTS = {Verdict.passed: "passed", Verdict.failed: "asked for changes"}


def pull_request_body(run: Run, outputs: list[StepOutput], verification: Verification | None = None) -> str:
    """Markdown: the task, every step's report in order, and where to read the whole conversation.

    What agents wrote links to nothing, mentions nobody and closes no issue; what the user asked for may.
    verification: what the platform itself found out, where the workflow asks for that; it is never cut.
    """
    end = [verification_section(verification)] if verification is not None else []
    workflow = without_markers(run.blueprint_name)
    end.append(f"---\nCodeCourier run {run.run_number} (`{run.id}`), workflow “{workflow}”.")
    last = "\n\n".join(end)
    room, limit = MAX_BODY_CHARS - len(last) - 2, MAX_REPORT_CHARS
    reports = _reports(run, outputs, limit)
    while len(reports) > room and limit > MIN_REPORT_CHARS:
        limit //= 2
        reports = _reports(run, outputs, limit)
    return f"{truncate(reports, room)}\n\n{last}"


def _reports(run: Run, outputs: list[StepOutput], limit: int) -> str:
    """limit: characters of each."""
    asked = neutralize_markdown(run.prompt) if run.source.may_quote_agents else run.prompt
    parts = [f"## What was asked\n\n{_block_quote(asked, limit)}", "## What was done"]
    parts += [
        f"**{_heading(output)}**\n\n{_block_quote(neutralize_markdown(output.output), limit)}"
        for output in outputs
        if not output.verdict
    ]
    if checks := [output for output in outputs if output.verdict]:
        parts.append("## How it was checked")
        parts += [
            f"**{_heading(output)}**\n\n{_block_quote(neutralize_markdown(_report_text(output)), limit)}"
            for output in checks
        ]
        if checks[-1].verdict is Verdict.failed:
            parts.append("⚠️ The last check did not pass: look at its feedback before you merge.")
    return "\n\n".join(parts)


def pull_request_title(run: Run) -> str:
    return neutralize_markdown(run.name) if run.source.may_quote_agents else run.name


def _heading(output: StepOutput) -> str:
    verdict = f": {_VERDICT_TEXTS[output.verdict]}" if output.verdict else ""
    when = f"iteration {output.iteration}" if output.iteration else "in an earlier run"
    return f"{without_markers(output.label)}, {when}{verdict}"


def _block_quote(text: str, limit: int) -> str:
    """What the text leaves open, a fence for instance, ends with the quotation."""
    return "\n".join(f"> {line}" for line in without_markers(truncate(text, limit)).splitlines())


def _report_text(output: StepOutput) -> str:
    return f"{output.output}\n\n{output.feedback}" if output.feedback else output.output
