"""The end of an extraction: by its workflow, or by the sweep when its workflow is gone."""

from sqlmodel.ext.asyncio.session import AsyncSession

from activities.agent.sessions import find_session
from activities.jobs.lifecycle import CloseJob
from models import LearningExtraction
from models.agent.session_kind import SessionKind
from models.event import EventType, append_event
from models.learnings.extraction import ExtractionStatus


async def close_extraction_row(session: AsyncSession, close: CloseJob) -> ExtractionStatus:
    """The last word, with what its agent finished with; the first ending stays.  Its run is not touched."""
    ending = close.ending
    row = await session.get_one(LearningExtraction, close.job_id, with_for_update=True)
    if row.close(ExtractionStatus(ending.status), code=ending.code, message=ending.message):
        agent = await find_session(session, row.id, SessionKind.extractor)
        row.summary = str(agent.result["summary"]) if agent and agent.result else None
        append_event(
            session,
            row,
            EventType.learning_extraction_ended,
            {"status": row.status, "code": ending.code, "found": row.found_count, "merged": row.merged_count},
        )
    return row.status
