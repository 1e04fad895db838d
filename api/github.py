"""GitHub as requests see it: the project's repository, asked now, and every failure as an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api.context import Unit
from gateways.errors import GatewayError, ProviderLimit
from gateways.github import GitHub, parse_repository
from kit.errors import AppError, Conflict, RateLimited, UpstreamError
from models.provider_key import Provider

DEADLINE = 20.0
"""Seconds that a request waits for GitHub."""
NO_REPOSITORY = "Set the project's repository first: POST /api/v1/project/update with githubRepoUrl."
NO_KEY = (
    "There is no github key: set GITHUB_TOKEN for the API, or give the project its own with POST "
    "/api/v1/project/provider-keys/set."
)
_PROJECT = """
    SELECT project.github_repo_url, provider_key.sealed
    FROM project LEFT JOIN provider_key
        ON provider_key.project_id = project.id AND provider_key.provider = %(provider)s
    WHERE project.id = %(id)s
"""


async def repository_of(unit: Unit) -> tuple[str | None, str | None]:
    """`owner/name` of the project's repository, and the token to use; None for what is not set."""
    settings = unit.api.settings
    asked = {"id": unit.key.project_id, "provider": Provider.github.value}
    [[url, sealed]] = await unit.api.reads.fetch(_PROJECT, asked)
    try:
        slug = parse_repository(str(url), settings.github_url) if url else None
    except ValueError:  # the server speaks to another GitHub since it was set
        slug = None
    if sealed:
        return slug, unit.api.vault.open(str(sealed))
    return slug, settings.github_token.get_secret_value() if settings.github_token else None


def github_of(unit: Unit, token: str | None) -> GitHub:
    """The gateway with the project's own key, or the server's; Conflict without any."""
    if token is None:
        raise Conflict(NO_KEY)
    settings = unit.api.settings
    return GitHub(
        token,
        api_url=settings.github_api_url,
        database=unit.api.database,
        spacing_seconds=settings.github_write_spacing_seconds,
    )


@asynccontextmanager
async def answered() -> AsyncIterator[None]:
    """What GitHub refuses or fails at becomes 502, what it puts off 429 with the time it names."""
    try:
        async with asyncio.timeout(DEADLINE):
            yield
    except GatewayError as error:
        raise told(error) from error
    except TimeoutError as error:
        raise UpstreamError(f"GitHub did not answer within {DEADLINE:g} seconds.") from error


def told(error: GatewayError) -> AppError:
    if isinstance(error, ProviderLimit):
        return RateLimited(error.message, retry_after=error.retry_after or 60)
    return UpstreamError(error.message)
