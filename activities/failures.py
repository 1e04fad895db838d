"""From an error to what Temporal is told: a code, a sentence, and whether trying again makes sense."""

import re

from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from temporalio.exceptions import ApplicationError

from gateways.errors import GatewayError, ProviderLimit, SandboxGone, UpstreamFailed
from kit.errors import AppError

PROVIDER_LIMIT = "PROVIDER_LIMIT"
SANDBOX_GONE = "SANDBOX_GONE"
CONTEXT_TOO_LONG = "CONTEXT_TOO_LONG"


def code_of(error: GatewayError) -> str:
    """`CredentialRefused` is `CREDENTIAL_REFUSED`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__).upper()


def as_application_error(error: Exception) -> ApplicationError:
    """The failure as Temporal's history shows it; holds no secret and nothing of the inside.

    A provider's limit and a lost sandbox are for the workflow to deal with, so they are not retried here.
    What we did not foresee is a bug: repeating it would not help and would hide it.
    """
    match error:
        case ApplicationError():
            return error
        case ProviderLimit():
            return ApplicationError(error.message, error.retry_after, type=PROVIDER_LIMIT, non_retryable=True)
        case GatewayError():
            transient = isinstance(error, UpstreamFailed) and not isinstance(error, SandboxGone)
            return ApplicationError(error.message, type=code_of(error), non_retryable=not transient)
        case AppError():
            return ApplicationError(error.message, type=error.code, non_retryable=not error.retryable)
        case OperationalError() | InterfaceError() | PoolTimeout():
            return ApplicationError("The database cannot be reached.", type="UNAVAILABLE")
        case DBAPIError() if error.connection_invalidated:
            return ApplicationError("The database cannot be reached.", type="UNAVAILABLE")
        case TimeoutError() | ConnectionError():
            return ApplicationError(f"A connection failed ({type(error).__name__}).", type="UPSTREAM_FAILED")
    sentence = f"An unexpected error ({type(error).__name__}); the worker's log has the details."
    return ApplicationError(sentence, type="INTERNAL", non_retryable=True)
