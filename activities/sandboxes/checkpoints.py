"""A job's checkpoint: its work tree on a hidden ref of its own, from which a new sandbox can go on.

The ledger knows of it before it is made and until it is gone, so that none outlives its job unseen.
"""

from typing import Final

from sqlalchemy import delete
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.gateway_factory import GatewayFactory
from gateways.git.repository import CloneBase, ExpectedMerge, Repository, checkpoint_ref
from kit.database import Database
from models import Effect
from models.effect import EffectKind, effect_key, record_intent
from models.jobs.job import Job

PROTECTED_PATHS_KEY: Final = "protectedPaths"
"""In the ledger: the protected paths that the last checkpoint touches."""


async def save_checkpoint(
    database: Database,
    repository: Repository,
    job_id: str,
    base: CloneBase,
    merge: ExpectedMerge | None = None,
) -> str:
    """Push the work tree, or a merge, to the job's ref; refused, that stays where it is.  Again is harmless.

    The checkpoint's commit.
    """
    async with database.transaction() as session:
        await record_intent(session, job_id, EffectKind.checkpoint)
    sha = await repository.snapshot(f"Checkpoint of {job_id}", merge.sha if merge else None)
    kept = await repository.push_hidden_ref(sha, checkpoint_ref(job_id), base, merge=merge)
    async with database.transaction() as session:
        (await record_intent(session, job_id, EffectKind.checkpoint)).complete_again(
            {PROTECTED_PATHS_KEY: list(kept.touched_paths)}
        )
    return sha


async def has_checkpoint(session: AsyncSession, job_id: str) -> bool:
    """Whether there may be a checkpoint to go on from; one that is not there is passed over."""
    return await session.get(Effect, effect_key(job_id, EffectKind.checkpoint)) is not None


async def load_touched_paths(session: AsyncSession, job_id: str) -> list[str]:
    """The protected paths that the job's last checkpoint touches, so that no branch can be made of it."""
    effect = await session.get(Effect, effect_key(job_id, EffectKind.checkpoint))
    found = (effect.result or {}).get(PROTECTED_PATHS_KEY) if effect is not None else None
    return [str(path) for path in found] if isinstance(found, list) else []


async def delete_checkpoint(database: Database, outside: GatewayFactory, job: Job) -> bool:
    """Remove the job's ref from the remote, then from the ledger; False when it had none.  Again is harmless.

    One that is made meanwhile, by an attempt that does not know that it is late, stays in the ledger.
    """
    key = effect_key(job.id, EffectKind.checkpoint)
    async with database.read_only() as session:
        effect = await session.get(Effect, key)
    if effect is None:
        return False
    credentials = await outside.credentials(job.project_id)
    refs = await outside.hidden_refs(credentials, job.repository_slug)
    await refs.delete([checkpoint_ref(job.id)])
    same = col(Effect.key) == key, col(Effect.done_at).is_not_distinct_from(effect.done_at)
    async with database.transaction() as session:
        await session.execute(delete(Effect).where(*same))
    return True
