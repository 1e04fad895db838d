"""A learning that an extractor reports: a row at once, or one more occurrence of a row that says the same."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from gateways.learnings.report import ReportLearning
from models import Learning, LearningExtraction, LearningOccurrence, Project, Sandbox
from models.event import EventType, append_event
from models.learnings.duplicates import find_duplicate, has_occurrence
from models.learnings.learning import LearningSeverity, LearningSource
from models.sandboxes.sandbox import SandboxPurpose

EXTRACTION_FINISHED_MESSAGE = "The extraction is over: nothing is kept any more."


async def report_learning(
    session: AsyncSession, extraction_id: str, source_key: str, reported: ReportLearning
) -> str:
    """Keep the learning, in the caller's transaction; the words in which its agent is answered.

    source_key: of the call; carried out again, it finds what it left.  A run counts once for a learning,
    however often its agent reports it.  Reports of one project wait for each other, so that two extractions
    cannot add one learning twice.
    """
    extraction = await session.get_one(LearningExtraction, extraction_id, with_for_update=True)
    if extraction.is_finished:
        return EXTRACTION_FINISHED_MESSAGE
    await session.get_one(Project, extraction.project_id, with_for_update={"key_share": True})
    same_call = select(col(LearningOccurrence.learning_id)).where(
        col(LearningOccurrence.source_key) == source_key
    )
    before: str | None = (await session.execute(same_call)).scalar_one_or_none()
    if before is not None:
        return f"Kept as {before}."
    known = await find_duplicate(session, extraction.project_id, reported.description, reported.trigger)
    if known is not None and await has_occurrence(session, known.id, extraction.run_id):
        return f"Counted for this run already, as {known.id}. Go on."
    sandbox_id = await _sandbox_of(session, extraction.run_id)
    learning = known or Learning(
        project_id=extraction.project_id,
        description=reported.description,
        trigger=reported.trigger,
        correct_behavior=reported.correct_behavior,
        severity=LearningSeverity(reported.severity),
        category=reported.category,
        applicable_roles=[role.value for role in reported.applicable_roles],
        source=LearningSource.extracted,
        run_id=extraction.run_id,
        sandbox_id=sandbox_id,
    )
    session.add(learning)
    await session.flush()
    session.add(
        LearningOccurrence(
            learning_id=learning.id, run_id=extraction.run_id, sandbox_id=sandbox_id, source_key=source_key
        )
    )
    data: dict[str, object] = {"learningId": learning.id, "runId": extraction.run_id}
    if known is None:
        extraction.found_count += 1
        append_event(session, extraction, EventType.learning_found, data)
        return f"Kept as {learning.id}."
    learning.add_occurrence()
    extraction.merged_count += 1
    append_event(session, extraction, EventType.learning_seen_again, data)
    return f"Known already as {learning.id} ('{learning.description}'): counted. Go on."


async def _sandbox_of(session: AsyncSession, run_id: str) -> str | None:
    """The sandbox that the run's work ended in."""
    is_of_work = (col(Sandbox.job_id) == run_id) & (col(Sandbox.purpose) == SandboxPurpose.work)
    newest = select(col(Sandbox.id)).where(is_of_work).order_by(col(Sandbox.id).desc()).limit(1)
    found: str | None = (await session.execute(newest)).scalar_one_or_none()
    return found
