"""What an activity has to know that works in a job's sandbox; read before each of them, so past the ORM."""

from typing import Final, NamedTuple

from activities.credentials import Credentials
from activities.outside import Outside
from gateways.repository import Repository
from gateways.sandbox import SandboxHandle
from kit.direct import Direct
from models.jobs import table_of

_READ: Final = """
    SELECT job.name, job.project_id, job.repository_slug, job.base_branch, job.base_sha,
        sandbox.provider_id, sandbox.timeout_ms,
        EXISTS (SELECT FROM effect WHERE key = job.id || ':checkpoint' AND done_at IS NOT NULL)
    FROM {job} AS job JOIN sandbox ON sandbox.job_id = job.id
    WHERE job.id = %(job)s AND sandbox.id = %(sandbox)s
"""


class Workplace(NamedTuple):
    """A job and the sandbox that it uses."""

    name: str
    project_id: str
    repository_slug: str
    base_branch: str | None
    base_sha: str | None
    """None until the repository is cloned."""
    provider_id: str | None
    timeout_ms: int
    has_checkpoint: bool


async def workplace(direct: Direct, job_id: str, sandbox_id: str) -> Workplace:
    values = {"job": job_id, "sandbox": sandbox_id}
    [row] = await direct.fetch(_READ.format(job=table_of(job_id)), values)
    return Workplace(*row)


def repository_of(outside: Outside, credentials: Credentials, handle: SandboxHandle, slug: str) -> Repository:
    """The clone in a job's sandbox; the token is passed to the one git command that needs it."""
    return Repository(handle, outside.clone_url(slug), outside.github_token(credentials))
