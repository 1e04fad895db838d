"""GitHub as requests see it: the project's repository, asked now, and every failure as an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.state import UnitOfWork
from gateways.errors import CredentialMissing, GatewayError, ProviderLimit
from gateways.github.client import GitHub, parse_repository
from kit.errors import AppError, Conflict, RateLimited, UpstreamError
from models.projects.provider_key import Provider

GITHUB_TIMEOUT_SECONDS = 20.0
"""Seconds that a request waits for GitHub."""
NO_REPOSITORY = "Set the project's repository first: POST /api/v1/project/update with githubRepoUrl."
_READ_REPOSITORY = "SELECT github_repo_url FROM project WHERE id = %(id)s"
_READ_PROJECT_KEY = "SELECT sealed FROM provider_key WHERE project_id = %(id)s AND provider = %(provider)s"


async def project_repository(unit: UnitOfWork) -> str | None:
    """`owner/name` of the project's repository; None where none is set."""
    [[url]] = await unit.read_pool.fetch(_READ_REPOSITORY, {"id": unit.key.project_id})
    try:
        return parse_repository(str(url), unit.api.settings.github_url) if url else None
    except ValueError:  # the server speaks to another GitHub since it was set
        return None


async def github_client(unit: UnitOfWork, slug: str) -> GitHub:
    """The gateway to a repository with the project's own key, or with the server's where it is allowed.

    RepositoryNotAllowed where it is not, Conflict without any key.
    """
    project_id, access = unit.key.project_id, unit.api.github_access
    asked = {"id": project_id, "provider": Provider.github.value}
    own = [
        unit.api.vault.open(str(sealed)) for [sealed] in await unit.read_pool.fetch(_READ_PROJECT_KEY, asked)
    ]
    try:
        return access.github(await access.token(project_id, own[0] if own else None, slug))
    except CredentialMissing as missing:
        raise Conflict(missing.message) from missing


@asynccontextmanager
async def map_github_errors() -> AsyncIterator[None]:
    """What GitHub refuses or fails at becomes 502, what it puts off 429 with the time it names."""
    try:
        async with asyncio.timeout(GITHUB_TIMEOUT_SECONDS):
            yield
    except GatewayError as error:
        raise to_app_error(error) from error
    except TimeoutError as error:
        raise UpstreamError(f"GitHub did not answer within {GITHUB_TIMEOUT_SECONDS:g} seconds.") from error


def to_app_error(error: GatewayError) -> AppError:
    if isinstance(error, ProviderLimit):
        return RateLimited(error.message, retry_after=error.retry_after or 60)
    return UpstreamError(error.message)
