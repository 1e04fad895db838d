"""Sandboxes as requests reach them: the project's own key, a deadline, and every failure as an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from activities.projects.credentials import Credentials, load_credentials
from api.state import UnitOfWork
from gateways.errors import CredentialMissing, GatewayError, ProviderLimit, SandboxGone
from gateways.sandboxes.control import SandboxHandle, SandboxProvider
from gateways.sandboxes.inspection import Inspection, InspectionRefused
from kit.errors import AppError, Conflict, Invalid, NotFound, RateLimited, UpstreamError
from kit.ids import is_id
from models.jobs.job_lookup import job_table_name
from models.projects.provider_key import Provider
from models.sandboxes.sandbox import SandboxStatus

DEADLINE: Final = 30.0
"""Seconds that a request waits for a sandbox."""
SANDBOX_NOT_FOUND: Final = "Sandbox not found."
_READ_SANDBOX: Final = """
    SELECT job_id, status, provider_id, timeout_ms,
        EXISTS (SELECT FROM sandbox_event WHERE sandbox_id = sandbox.id AND type = 'clone')
    FROM sandbox WHERE id = %(id)s AND project_id = %(project)s AND deleted_at IS NULL
"""
_READ_BASE_SHA: Final = "SELECT base_sha FROM {job} WHERE id = %(job)s"


@dataclass(frozen=True)
class LiveSandbox:
    """A sandbox that answers, and what is to be kept out of what it answers."""

    id: str
    job_id: str
    handle: SandboxHandle
    sandboxes: SandboxProvider
    credentials: Credentials

    @property
    def inspection(self) -> Inspection:
        return Inspection(self.handle)

    def redact(self, text: str) -> str:
        return self.credentials.redactor.redact_text(text)


@asynccontextmanager
async def open_live_sandbox(unit: UnitOfWork, sandbox_id: str) -> AsyncIterator[LiveSandbox]:
    """The project's live sandbox of this id, until the block ends; what fails in the block is an answer.

    404 for an unknown one; 409 for one that is gone or not ready.
    """
    rows = []
    if is_id(sandbox_id, "s"):
        asked = {"id": sandbox_id, "project": unit.key.project_id}
        rows = [*await unit.read_pool.fetch(_READ_SANDBOX, asked)]
    if not rows:
        raise NotFound(SANDBOX_NOT_FOUND)
    [[job_id, status, provider_id, timeout_ms, is_cloned]] = rows
    require_live(SandboxStatus(status))
    if provider_id is None or not is_cloned:
        raise Conflict("The sandbox is not ready yet: its repository is still being cloned.")
    api = unit.api
    project_id = unit.key.project_id
    credentials = await load_credentials(unit.database, api.vault, api.settings, api.redactors, project_id)
    try:
        async with asyncio.timeout(DEADLINE):
            sandboxes = SandboxProvider(
                credentials.key(Provider.e2b, "E2B_API_KEY"),
                api_url=api.settings.e2b_api_url,
                sandbox_url=api.settings.e2b_sandbox_url,
                owner=credentials.owner,
            )
            handle = await sandboxes.attach(provider_id, timeout_ms // 1000)
            yield LiveSandbox(sandbox_id, job_id, handle, sandboxes, credentials)
    except CredentialMissing as error:
        raise Conflict(error.message) from error
    except GatewayError as error:
        raise to_app_error(error, credentials) from error
    except TimeoutError as error:
        raise UpstreamError(f"The sandbox did not answer within {DEADLINE:g} seconds.") from error


async def load_base_sha(unit: UnitOfWork, job_id: str) -> str:
    """The commit that a job's work started from; Conflict while there is none."""
    [[sha]] = await unit.read_pool.fetch(_READ_BASE_SHA.format(job=job_table_name(job_id)), {"job": job_id})
    if sha is None:
        raise Conflict("The sandbox is not ready yet: its repository is still being cloned.")
    return str(sha)


def require_live(status: SandboxStatus) -> None:
    if status in (SandboxStatus.killed, SandboxStatus.error):
        how = "was removed" if status is SandboxStatus.killed else "was lost"
        raise Conflict(f"The sandbox {how}: nothing in it can be reached any more.")


def to_app_error(error: GatewayError, credentials: Credentials) -> AppError:
    words = credentials.redactor.redact_text(error.message)
    match error:
        case InspectionRefused(reason_code="missing"):
            return NotFound(words)
        case InspectionRefused(reason_code="other-server" | "no-repository"):
            return Conflict(words)
        case InspectionRefused(reason_code="no-base"):
            return Invalid(f"base: {words}", field="base")
        case InspectionRefused():
            return Invalid(f"path: {words}", field="path")
        case SandboxGone():
            return Conflict("The sandbox is gone: it no longer runs at the provider.")
        case ProviderLimit():
            return RateLimited(words, retry_after=error.retry_after or 60)
    return UpstreamError(words)
