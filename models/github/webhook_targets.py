"""Whom it concerns what GitHub tells of a commit, a branch or a pull request; ids are those of the rows.

project_id, everywhere: whose rows those are that may be meant; None for all, where the operator's own webhook
speaks.
"""

from sqlalchemy import ColumnElement, exists, func, select, true
from sqlalchemy.orm import Mapped
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.merging.merge_job import MergeJob, MergeStatus
from models.runs.run import PrStatus, Run, RunStatus
from models.verification.verification import Verification, VerificationStatus

_MERGE_IS_ACTIVE = col(MergeJob.status).in_([MergeStatus.pending, MergeStatus.running])


async def find_check_waiters(session: AsyncSession, project_id: str | None, slug: str, sha: str) -> list[str]:
    """Live runs whose commit this is, and merges that looked at it last."""
    runs = select(col(Run.id)).where(
        col(Run.head_sha) == sha,
        _matches_slug(slug, col(Run.repository_slug)),
        _in_project(project_id, col(Run.project_id)),
        col(Run.status).in_([RunStatus.running, RunStatus.paused]),
    )
    merges = select(col(MergeJob.id)).where(
        col(MergeJob.head_sha) == sha,
        _matches_slug(slug, col(MergeJob.repository_slug)),
        _in_project(project_id, col(MergeJob.project_id)),
        _MERGE_IS_ACTIVE,
    )
    return list((await session.execute(runs.union_all(merges))).scalars())


async def find_merges(session: AsyncSession, project_id: str | None, slug: str, number: int) -> list[str]:
    """Merges of this pull request."""
    statement = (
        select(col(MergeJob.id))
        .join(Run, col(Run.id) == col(MergeJob.run_id))
        .where(_MERGE_IS_ACTIVE, *_of_pull_request(project_id, slug, number))
    )
    return list((await session.execute(statement)).scalars())


async def find_unmerged_runs(
    session: AsyncSession, project_id: str | None, slug: str, number: int
) -> list[str]:
    """The runs whose pull request this is, and which do not know that it is merged."""
    is_open = col(Run.pr_status).is_distinct_from(PrStatus.merged)
    statement = select(col(Run.id)).where(is_open, *_of_pull_request(project_id, slug, number))
    return list((await session.execute(statement)).scalars())


async def find_verified_by_number(
    session: AsyncSession, project_id: str | None, slug: str, number: int, sha: str
) -> list[str]:
    """The runs whose pull request this is, and that have a valid verification of this commit."""
    statement = select(col(Run.id)).where(*_of_pull_request(project_id, slug, number), _is_verified(sha))
    return list((await session.execute(statement)).scalars())


async def find_verified_by_branch(
    session: AsyncSession, project_id: str | None, slug: str, branch: str | None, sha: str
) -> list[str]:
    """The runs that pushed this commit to this branch, and have a valid verification of it."""
    statement = select(col(Run.id)).where(
        col(Run.head_sha) == sha,
        col(Run.branch_name) == branch,
        _matches_slug(slug, col(Run.repository_slug)),
        _in_project(project_id, col(Run.project_id)),
        _is_verified(sha),
    )
    return list((await session.execute(statement)).scalars())


def _of_pull_request(project_id: str | None, slug: str, number: int) -> tuple[ColumnElement[bool], ...]:
    return (
        col(Run.pr_number) == number,
        _matches_slug(slug, col(Run.repository_slug)),
        _in_project(project_id, col(Run.project_id)),
    )


def _is_verified(sha: str) -> ColumnElement[bool]:
    return exists().where(
        col(Verification.run_id) == col(Run.id),
        col(Verification.commit_sha) == sha,
        col(Verification.status) != VerificationStatus.void,
    )


def _matches_slug(slug: str, column: Mapped[str]) -> ColumnElement[bool]:
    """GitHub's names are the same in any case."""
    return func.lower(column) == slug.lower()


def _in_project(project_id: str | None, column: Mapped[str]) -> ColumnElement[bool]:
    return true() if project_id is None else column == project_id
