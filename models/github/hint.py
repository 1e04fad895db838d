"""Hints: what a delivery of GitHub's says of a run, until it was read on GitHub whether it is true.

Nothing in a delivery is believed; it says where to look.  A hint is a row until then, so that none is lost
with a process.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import delete, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import Table, Timestamp, now

PULL_REQUEST: Final = ""
"""In the place of a commit: the hint is about the pull request."""
RETENTION: Final = timedelta(days=1)
"""For so long a hint is tried again."""


class GithubHint(Table, table=True):
    """One change to a run's branch or pull request that a delivery claims."""

    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE", primary_key=True)
    left_sha: str = Field(primary_key=True)
    """The commit that its branch is said to have left; `PULL_REQUEST`: that is said to be merged."""
    noted_at: datetime = Field(default_factory=now, sa_type=Timestamp, index=True)
    """When a delivery said so last."""


async def record_hint(session: AsyncSession, run_id: str, left_sha: str = PULL_REQUEST) -> None:
    """Have it read on GitHub; noted again before that, it is read once."""
    hint = insert(GithubHint).values(run_id=run_id, left_sha=left_sha, noted_at=now())
    again = {"noted_at": hint.excluded.noted_at}
    await session.execute(hint.on_conflict_do_update(index_elements=["run_id", "left_sha"], set_=again))


async def find_hints(session: AsyncSession, run_id: str) -> list[GithubHint]:
    statement = select(GithubHint).where(col(GithubHint.run_id) == run_id)
    return list((await session.execute(statement)).scalars())


async def delete_hints(session: AsyncSession, hints: Collection[GithubHint]) -> None:
    """Delete these, which were read on GitHub; one that was noted again meanwhile stays."""
    hint = GithubHint
    identity = tuple_(col(hint.run_id), col(hint.left_sha), col(hint.noted_at))
    those = [(each.run_id, each.left_sha, each.noted_at) for each in hints]
    await session.execute(delete(hint).where(identity.in_(those)))


async def find_hinted_runs(session: AsyncSession, before: datetime) -> list[str]:
    """The ids of runs with a hint that was noted before a moment and is still there."""
    statement = select(col(GithubHint.run_id)).where(col(GithubHint.noted_at) < before).distinct()
    return list((await session.execute(statement)).scalars())


async def delete_expired_hints(session: AsyncSession) -> None:
    """Delete those that could not be read on GitHub within `RETENTION`."""
    await session.execute(delete(GithubHint).where(col(GithubHint.noted_at) < now() - RETENTION))
