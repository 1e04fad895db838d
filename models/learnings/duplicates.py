"""Learnings that are known already: an agent that reports one again adds to its count, not to the list."""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.learnings.learning import Learning, LearningOccurrence
from models.learnings.similarity import MIN_SIMILARITY, significant_words, similarity


async def find_duplicate(
    session: AsyncSession, project_id: str, description: str, trigger: str | None
) -> Learning | None:
    """The learning of the project that says the same, held until the commit.

    Rejected ones count: what a person has turned down does not come back as if it were new.  Those in the
    trash do not: they are forgotten.
    """
    wanted = significant_words(description, trigger)
    statement = select(col(Learning.id), col(Learning.description), col(Learning.trigger)).where(
        col(Learning.project_id) == project_id, col(Learning.deleted_at).is_(None)
    )
    known = [
        (similarity(wanted, significant_words(text, when)), learning_id)
        for learning_id, text, when in await session.execute(statement)
    ]
    likeness, nearest = max(known, default=(0.0, ""))
    return (
        await session.get_one(Learning, nearest, with_for_update=True) if likeness >= MIN_SIMILARITY else None
    )


async def has_occurrence(session: AsyncSession, learning_id: str, run_id: str) -> bool:
    """Whether the learning was counted for this run."""
    statement = select(col(LearningOccurrence.id)).where(
        col(LearningOccurrence.learning_id) == learning_id, col(LearningOccurrence.run_id) == run_id
    )
    return (await session.execute(statement)).first() is not None
