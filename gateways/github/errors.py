"""What PyGithub raises, as errors of ours."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import requests
from github.GithubException import BadAttributeException, GithubException, RateLimitExceededException

from gateways.errors import CredentialRefused, GatewayError, ProviderLimit, UpstreamFailed, UpstreamRefused

UNNAMED_LIMIT_SECONDS = 60.0
"""GitHub: without a `Retry-After`, wait for at least a minute."""


@contextmanager
def mapped_errors(doing: str) -> Iterator[None]:
    """Raise `gateways.errors` instead; `doing` begins the sentence."""
    try:
        yield
    except GithubException as error:
        raise map_error(doing, error) from error
    except (requests.RequestException, BadAttributeException, RuntimeError) as error:
        raise UpstreamFailed(f"{doing} failed: GitHub cannot be reached ({type(error).__name__}).") from error


def map_error(doing: str, error: GithubException) -> GatewayError:
    """The error that the status, the headers and the words of a refusal mean."""
    said, headers = error_message(error), error.headers or {}
    if (error.status in (403, 429) or _is_graphql_limit(error)) and (
        wait := _limit(error, headers)
    ) is not None:
        return ProviderLimit(f"{doing} was put off: GitHub's rate limit is reached. {said}", wait)
    if error.status == 401:
        return CredentialRefused(f"{doing} failed: GitHub refused the token. Check that it is still valid.")
    if error.status == 403:
        return CredentialRefused(f"{doing} failed: the token lacks a right. GitHub said: {said}")
    if error.status == 404:
        return UpstreamRefused(f"{doing} failed: not found on GitHub, or the token may not access it.")
    if 400 <= error.status < 500:
        return UpstreamRefused(f"{doing} was refused by GitHub: {said}")
    return UpstreamFailed(f"{doing} failed: GitHub answered {error.status}.")


def error_message(error: GithubException) -> str:
    """GitHub's message and those of its list of errors."""
    data = error.data if isinstance(error.data, dict) else {}
    listed = data.get("errors")
    parts = [str(data.get("message") or error.message or f"status {error.status}")]
    for item in listed if isinstance(listed, list) else []:
        said = item.get("message") or item.get("code") if isinstance(item, dict) else item
        parts.append(str(said))
    return "; ".join(parts)[:400]


def _is_graphql_limit(error: GithubException) -> bool:
    """Whether this is GraphQL's word for a limit, which comes with the status of a success."""
    listed = error.data.get("errors") if isinstance(error.data, dict) else None
    kinds = [item.get("type") for item in listed or [] if isinstance(item, dict)]
    return "RATE_LIMITED" in kinds


def _limit(error: GithubException, headers: Mapping[str, str]) -> float | None:
    """Seconds to wait if this is a limit: what GitHub asks for, else until its window ends."""
    if (after := headers.get("retry-after", "")).isdecimal():
        return float(after)
    if headers.get("x-ratelimit-remaining") == "0" and headers.get("x-ratelimit-reset", "").isdecimal():
        return max(1.0, float(headers["x-ratelimit-reset"]) - time.time())
    if error.status != 403 or isinstance(error, RateLimitExceededException):
        return UNNAMED_LIMIT_SECONDS
    return None
