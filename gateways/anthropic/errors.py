"""What can go wrong in a model turn, by what there is to do about it."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import anthropic

from gateways.errors import CredentialRefused, GatewayError, ProviderLimit, UpstreamFailed, UpstreamRefused
from kit.redaction import Redactor

MAX_MESSAGE_CHARS: Final = 1_000
STATUS_BY_STREAM_ERROR: Final = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "overloaded_error": 529,
}
"""What an `error` event would have been as a response: the response that carries it says 200."""
CONTEXT_TOO_LONG_PATTERN: Final = re.compile(
    r"(prompt|input) is too long|exceeds? (the )?context (limit|window)", re.IGNORECASE
)


class TurnCut(UpstreamFailed):
    """The answer did not arrive whole: nothing of it may be used, the turn is asked for again."""


class ContextTooLong(UpstreamRefused):
    """The conversation does not fit the model's window: compact it, then ask again."""


def map_error(error: anthropic.APIStatusError, redactor: Redactor) -> GatewayError:
    """The error that says what to do about this answer, in the API's words without our key."""
    status = error.status_code
    if status < 400:
        status = STATUS_BY_STREAM_ERROR.get(str(error.type), 500)
    words = redactor.redact_text(error.api_message or error.message)[:MAX_MESSAGE_CHARS]
    message = f"The model API answered {status} ({error.type or 'no type'}): {words}"
    wait = retry_after(error.response.headers)
    if status in (429, 529) or (status == 503 and wait is not None):
        return ProviderLimit(message, wait)
    if status in (401, 403):
        return CredentialRefused(message)
    if status == 413 or (status == 400 and CONTEXT_TOO_LONG_PATTERN.search(words)):
        return ContextTooLong(message)
    if status >= 500 or status in (408, 409):  # a time-out, a clash with another request: both pass
        return TurnCut(message)
    return UpstreamRefused(message)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from seconds or an HTTP date; None when there is neither."""
    value = headers.get("retry-after", "").strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return max(seconds, 0.0) if math.isfinite(seconds) else None
