"""The checkpoint of a run whose workflow was lost: what is left of its work, retained for a restart."""

from datetime import timedelta
from typing import Final

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import now
from models.effect import Effect, EffectKind, effect_key
from models.event import Eventful
from models.jobs.job import WORKFLOW_LOST
from models.runs.run import Run

LOST_RUN_CHECKPOINT_RETENTION: Final = timedelta(days=7)
"""How long somebody may take to restart a lost run."""


async def is_checkpoint_retained(session: AsyncSession, job: Eventful | None) -> bool:
    """Whether the job has a checkpoint that is retained although the job is over.

    Only a lost run's is, when nothing was pushed of it: for some days, and as long as a restarted run that
    goes on from it is not over.
    """
    if not isinstance(job, Run) or job.error_code != WORKFLOW_LOST or job.head_sha is not None:
        return False
    effect = await session.get(Effect, effect_key(job.id, EffectKind.checkpoint))
    if effect is None or effect.done_at is None:
        return False
    if job.completed_at is not None and job.completed_at > now() - LOST_RUN_CHECKPOINT_RETENTION:
        return True
    return await unfinished_successor(session, job) is not None


async def unfinished_successor(session: AsyncSession, run: Run) -> Run | None:
    """A run that goes on from this one's work and is not over."""
    successors = select(Run).where(
        col(Run.project_id) == run.project_id,
        col(Run.continues_run_id) == run.id,
        col(Run.completed_at).is_(None),
    )
    return (await session.execute(successors.limit(1))).scalar_one_or_none()
