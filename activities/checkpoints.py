"""A job's checkpoint: its work tree on a hidden ref of its own, from which a new sandbox can go on."""

from typing import Final

from activities.outgoing import holds_secret
from gateways.repository import Repository, checkpoint_ref
from kit.direct import Direct
from kit.scrub import Scrubber
from models.base import now

_KEPT: Final = """
    INSERT INTO effect (key, subject_id, kind, intended_at, done_at)
    VALUES (%(job)s || ':checkpoint', %(job)s, 'checkpoint', %(now)s, %(now)s)
    ON CONFLICT (key) DO UPDATE SET done_at = excluded.done_at
"""


async def save(repository: Repository, scrubber: Scrubber, job_id: str, base_sha: str) -> bool:
    """Push the work tree to the job's ref; False, and the ref stays where it is, when it holds a secret."""
    sha = await repository.snapshot(f"Checkpoint of {job_id}")
    if await holds_secret(repository, scrubber, base_sha, sha):
        return False
    await repository.push(sha, checkpoint_ref(job_id), force=True)
    return True


async def checkpoint_kept(direct: Direct, job_id: str) -> None:
    """Write down that a job has a checkpoint; again is harmless."""
    await direct.fetch(_KEPT, {"job": job_id, "now": now()})
