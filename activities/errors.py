"""From an error to what Temporal is told: a code, a sentence, and whether trying again makes sense."""

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

import psycopg
from psycopg.errors import IdleInTransactionSessionTimeout, ReadOnlySqlTransaction
from psycopg_pool import PoolTimeout as DirectPoolTimeout
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from gateways.errors import GatewayError, ProviderLimit, SandboxGone, UpstreamFailed
from kit.errors import AppError
from kit.redaction import Redactor

PROVIDER_LIMIT = "PROVIDER_LIMIT"
UNAVAILABLE = "UNAVAILABLE"
"""Our own database, or Temporal, is away."""
SANDBOX_GONE = "SANDBOX_GONE"
CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"
UNEXPECTED_ERROR: Final = "INTERNAL"
"""What nobody foresaw: a bug, as a rule."""
UNEXPECTED_ERROR_TIMEOUT: Final = timedelta(hours=1)
"""How long an activity that fails of a bug is tried again: time to roll the bad version back."""
MIN_UNEXPECTED_ERROR_ATTEMPTS: Final = 10
"""How often it is tried at least, if it was an hour old before it met the bug: some five minutes."""
TEMPORAL_UNAVAILABLE_STATUSES: Final = {
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.ABORTED,
    RPCStatusCode.CANCELLED,
}


def error_code(error: GatewayError) -> str:
    """`CredentialRefused` is `CREDENTIAL_REFUSED`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).upper()


def to_application_error(error: Exception) -> ApplicationError:
    """The failure as Temporal's history shows it; holds no secret and nothing of the inside.

    A provider's limit and a lost sandbox are for the workflow to deal with, so they are not retried here.
    What nobody foresaw is retried until `is_final` says otherwise: a rollback heals it.
    """
    match error:
        case ApplicationError():
            return error
        case ProviderLimit():
            return ApplicationError(error.message, error.retry_after, type=PROVIDER_LIMIT, non_retryable=True)
        case GatewayError():
            transient = isinstance(error, UpstreamFailed) and not isinstance(error, SandboxGone)
            return ApplicationError(error.message, type=error_code(error), non_retryable=not transient)
        case AppError():
            return ApplicationError(error.message, type=error.code, non_retryable=not error.retryable)
        case RPCError() if error.status in TEMPORAL_UNAVAILABLE_STATUSES:
            return ApplicationError("Temporal cannot be reached.", type=UNAVAILABLE)
        case _ if _is_database_unavailable(error):
            return ApplicationError("The database cannot be reached.", type=UNAVAILABLE)
        case TimeoutError() | ConnectionError():
            return ApplicationError(f"A connection failed ({type(error).__name__}).", type="UPSTREAM_FAILED")
    sentence = f"An unexpected error ({type(error).__name__}); the worker's log has the details."
    return ApplicationError(sentence, type=UNEXPECTED_ERROR)


def is_final(failure: ApplicationError, age: timedelta, attempt: int) -> bool:
    """Whether an activity is given up that has failed like this, so long after it was first scheduled."""
    if failure.type != UNEXPECTED_ERROR:
        return failure.non_retryable
    return failure.non_retryable or (
        age >= UNEXPECTED_ERROR_TIMEOUT and attempt >= MIN_UNEXPECTED_ERROR_ATTEMPTS
    )


def make_non_retryable(failure: ApplicationError) -> ApplicationError:
    """The same failure, not to be retried."""
    return ApplicationError(failure.message, *failure.details, type=failure.type, non_retryable=True)


def redact_failure(failure: ApplicationError, redactors: Iterable[Redactor]) -> ApplicationError:
    """The same failure without the secrets of the projects that the activity worked for.

    What it says may be the output of a command, and goes into histories, rows and logs.
    """
    message = failure.message
    for redactor in redactors:
        message = redactor.redact_text(message)
    if message == failure.message:
        return failure
    return ApplicationError(message, *failure.details, type=failure.type, non_retryable=failure.non_retryable)


def _is_database_unavailable(error: Exception) -> bool:
    """It cannot be reached, is overloaded, or is a standby that takes no writes: it will come back."""
    if isinstance(error, DBAPIError):
        cause = error.orig
        return (
            isinstance(error, OperationalError | InterfaceError)
            or error.connection_invalidated
            or isinstance(cause, ReadOnlySqlTransaction | IdleInTransactionSessionTimeout)
        )
    return isinstance(
        error,
        PoolTimeout
        | DirectPoolTimeout
        | psycopg.OperationalError
        | psycopg.InterfaceError
        | ReadOnlySqlTransaction
        | IdleInTransactionSessionTimeout,
    )
