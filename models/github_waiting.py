"""Which workflows wait for what GitHub tells of a commit or of a pull request; ids are those of the rows."""

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Mapped
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.merge_job import MergeJob, MergeStatus
from models.run import Run, RunStatus

_MERGING = col(MergeJob.status).in_([MergeStatus.pending, MergeStatus.running])


async def waiting_for_checks(session: AsyncSession, slug: str, sha: str) -> list[str]:
    """Live runs whose commit this is, and merges that looked at it last."""
    runs = select(col(Run.id)).where(
        col(Run.head_sha) == sha,
        _is(slug, col(Run.repository_slug)),
        col(Run.status).in_([RunStatus.running, RunStatus.paused]),
    )
    merges = select(col(MergeJob.id)).where(
        col(MergeJob.head_sha) == sha, _is(slug, col(MergeJob.repository_slug)), _MERGING
    )
    return list((await session.execute(runs.union_all(merges))).scalars())


async def merging(session: AsyncSession, slug: str, number: int) -> list[str]:
    """Merges of this pull request."""
    statement = (
        select(col(MergeJob.id))
        .join(Run, col(Run.id) == col(MergeJob.run_id))
        .where(_MERGING, *_of_pull_request(slug, number))
    )
    return list((await session.execute(statement)).scalars())


async def runs_of_pull_request(session: AsyncSession, slug: str, number: int) -> list[Run]:
    """The runs whose pull request this is, locked, to change them."""
    statement = select(Run).where(*_of_pull_request(slug, number)).order_by(col(Run.id)).with_for_update()
    return list((await session.execute(statement)).scalars())


def _of_pull_request(slug: str, number: int) -> tuple[ColumnElement[bool], ...]:
    return col(Run.pr_number) == number, _is(slug, col(Run.repository_slug))


def _is(slug: str, column: Mapped[str]) -> ColumnElement[bool]:
    """GitHub's names are the same in any case."""
    return func.lower(column) == slug.lower()
