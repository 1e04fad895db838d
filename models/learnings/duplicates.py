"""Duplicates: an agent that reports a known learning again adds to its count, not to the list.

Two learnings say the same if they have enough words in common.
"""

import re
from collections.abc import Set
from typing import Final

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.learnings.learning import Learning, LearningOccurrence

MIN_SIMILARITY: Final = 0.7
"""So many of all words of two learnings are in both when they say the same."""
MIN_WORD_CHARS: Final = 3
"""Shorter words (a, in, to) tell two learnings apart as little as case and punctuation do."""


def significant_words(*texts: str | None) -> frozenset[str]:
    """What texts say, without case, punctuation, order, repetition and short words."""
    found = re.findall(r"\w+", " ".join(text for text in texts if text).casefold())
    return frozenset(word for word in found if len(word) >= MIN_WORD_CHARS) or frozenset(found)


def similarity(one: Set[str], other: Set[str]) -> float:
    """The Jaccard index: from 0, no word in common, to 1, the same words."""
    every = len(one | other)
    return len(one & other) / every if every else 1.0


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
