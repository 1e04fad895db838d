"""Every error a caller may see.  One class, one code, one status.

* AppError
  x Invalid              400  VALIDATION            the request does not fit its schema
  x AuthMissing          401  AUTH_MISSING          no key was given
  x AuthInvalid          401  AUTH_INVALID          malformed, unknown, expired or revoked
  x ScopeDenied          403  SCOPE_DENIED          the key may not do this
  x Forbidden            403  FORBIDDEN             a rule forbids it
  x RepositoryNotAllowed 403  REPOSITORY_NOT_ALLOWED  the operator did not list it for the project
  x NotFound             404  NOT_FOUND             unknown, or another project's
  x MethodNotAllowed     405  METHOD_NOT_ALLOWED
  x Conflict             409  CONFLICT              the state does not allow it
  x IdempotencyMismatch  409  IDEMPOTENCY_MISMATCH  same key, other request
  x SecretAlreadyShown   409  SECRET_SHOWN          same key again, of an answer that held a secret
  x PreconditionFailed   412  PRECONDITION_FAILED   If-Match names another state of the object
  x PayloadTooLarge      413  PAYLOAD_TOO_LARGE
  x RateLimited          429  RATE_LIMITED          retryable
  x UpstreamError        502  UPSTREAM_ERROR        retryable; GitHub, E2B or the model refused or failed
  x Unavailable          503  UNAVAILABLE           retryable; the database or Temporal cannot be reached
  x Internal             500  INTERNAL              retryable; a bug

In the worker an `AppError` that is not retryable ends the activity for good (see `kit.temporal`).
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple


class Fault(NamedTuple):
    """One field that does not fit, by its camelCase path."""

    field: str
    message: str


class AppError(Exception):
    """An error with a name; `message` says what was wrong, where, and what to do, and holds no secret."""

    status: ClassVar[int]
    code: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, field: str | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        """The camelCase path of the faulty field, for `VALIDATION`."""
        self.retry_after = retry_after
        """Seconds after which trying again makes sense, where the cause named them."""


class Invalid(AppError):
    status, code = 400, "VALIDATION"

    def __init__(self, message: str, *, field: str | None = None, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message, field=field)
        self.faults = faults
        """Every field that does not fit, where a schema was checked; `field` is the first."""


class AuthMissing(AppError):
    status, code = 401, "AUTH_MISSING"


class AuthInvalid(AppError):
    status, code = 401, "AUTH_INVALID"


class ScopeDenied(AppError):
    status, code = 403, "SCOPE_DENIED"


class Forbidden(AppError):
    status, code = 403, "FORBIDDEN"


class RepositoryNotAllowed(AppError):
    status, code = 403, "REPOSITORY_NOT_ALLOWED"


class NotFound(AppError):
    status, code = 404, "NOT_FOUND"


class MethodNotAllowed(AppError):
    status, code = 405, "METHOD_NOT_ALLOWED"


class Conflict(AppError):
    status, code = 409, "CONFLICT"


class IdempotencyMismatch(AppError):
    status, code = 409, "IDEMPOTENCY_MISMATCH"


class SecretAlreadyShown(AppError):
    status, code = 409, "SECRET_SHOWN"


class PreconditionFailed(AppError):
    status, code = 412, "PRECONDITION_FAILED"


class PayloadTooLarge(AppError):
    status, code = 413, "PAYLOAD_TOO_LARGE"


class RateLimited(AppError):
    status, code, retryable = 429, "RATE_LIMITED", True


class UpstreamError(AppError):
    status, code, retryable = 502, "UPSTREAM_ERROR", True


class Unavailable(AppError):
    status, code, retryable = 503, "UNAVAILABLE", True


class Internal(AppError):
    status, code, retryable = 500, "INTERNAL", True
