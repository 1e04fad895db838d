"""Every failure of a request as one error of `kit.errors`, and that error as the envelope of the API."""

import math
from collections.abc import Sequence
from typing import Any

import orjson
from fastapi import Response
from fastapi.exceptions import RequestValidationError
from psycopg import OperationalError
from psycopg.errors import UniqueViolation
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.types import Scope

from kit.errors import (
    AppError,
    Conflict,
    Fault,
    Internal,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)
from kit.logs import logger
from kit.schemas import ErrorBody, ErrorEnvelope, FieldError

log = logger(__name__)
NOT_AN_OBJECT = ("missing", "model_attributes_type", "model_type", "dict_type")
"""Pydantic's names for a body that is no object at all."""
MAX_FAULTS = 100
"""Of one request that its answer names: a body of a megabyte may have a hundred thousand."""
DATABASE_UNREACHABLE = "The database cannot be reached just now; nothing was changed, please try again."


class WrongMethod(MethodNotAllowed):
    """There is something at this path, but for other methods."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Only {allowed} is possible here.")
        self.allowed = allowed


def to_app_error(error: Exception) -> AppError | None:
    """The error with a name that this failure is; None for a bug."""
    match error:
        case AppError():
            return error
        case RequestValidationError():
            return invalid_request(error.errors())
        case HTTPException():
            return _from_http_exception(error)
        case IntegrityError() if isinstance(error.orig, UniqueViolation):
            return Conflict("Something with this name exists already in the project.")
        case DBAPIError() if error.connection_invalidated or isinstance(error.orig, OperationalError):
            return Unavailable(DATABASE_UNREACHABLE)
        case PoolTimeout() | OperationalError():
            return Unavailable(DATABASE_UNREACHABLE)
    return None


def invalid_request(faults: Sequence[Any]) -> Invalid:
    """The faults of a schema, in words that name the field and never repeat what was sent."""
    first = faults[0]
    if first["type"] == "json_invalid":
        return Invalid(f"The body is not valid JSON: {first['ctx']['error']}.")
    if list(first["loc"]) == ["body"] and first["type"] in NOT_AN_OBJECT:
        return Invalid("Send a JSON object as the body, with `Content-Type: application/json`.")
    found = [Fault(".".join(map(str, fault["loc"][1:])), _message(fault)) for fault in faults[:MAX_FAULTS]]
    named = [fault for fault in found if fault.field]
    field, message = found[0]
    return Invalid(f"{field}: {message}" if field else message, field=field or None, faults=named)


def _message(fault: Any) -> str:
    match fault["type"]:
        case "missing":
            return "This field is required."
        case "extra_forbidden":
            return "There is no such field."
        case "string_pattern_mismatch" if fault["ctx"]["pattern"] == r"\S":
            return "This must not be blank."
    return str(fault["msg"]).removeprefix("Value error, ")


def invalid_field(error: ValidationError | ValueError, field: str) -> Invalid:
    """A rule that a model found broken while a handler built it."""
    said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return Invalid(f"{field}: {said.removeprefix('Value error, ')}", field=field)


def log_error(failure: Exception, error: AppError | None) -> None:
    """Log what is the server's own fault: all of a bug, a line of something that cannot be reached."""
    if error is None or isinstance(error, Internal):
        log.error("request failed of a bug", exc_info=failure)
    elif error.status > Internal.status:
        log.warning("request failed", reason=error.message, cause=repr(failure.__cause__ or failure))


def error_response(scope: Scope, error: AppError) -> Response:
    """The error envelope; with `X-API-Version: 1` its old form."""
    request_id: str = scope["request_id"]
    message = error.message if error.status != Internal.status else "Something went wrong on our side."
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after is not None else {}
    if isinstance(error, WrongMethod):
        headers["Allow"] = error.allowed
    if (b"x-api-version", b"1") in scope["headers"]:
        from_v1 = 403 if error.status == 401 else error.status
        return Response(orjson.dumps({"error": message}), from_v1, headers, media_type="application/json")
    envelope = ErrorEnvelope(
        error=ErrorBody(
            code=error.code,
            message=message,
            field=error.field,
            errors=_faults(error),
            request_id=request_id,
            retryable=True if error.retryable else None,
        )
    )
    content = envelope.model_dump_json(by_alias=True, exclude_none=True)
    return Response(content, error.status, headers, media_type="application/json")


def _faults(error: AppError) -> list[FieldError] | None:
    if not isinstance(error, Invalid) or not error.faults:
        return None
    return [FieldError(field=fault.field, message=fault.message) for fault in error.faults]


def _from_http_exception(error: HTTPException) -> AppError:
    """What Starlette and FastAPI raise themselves."""
    match error.status_code:
        case 404:
            return NotFound("There is nothing at this path; see GET /api/v1/openapi.json for what there is.")
        case 405:
            return WrongMethod((error.headers or {}).get("Allow", ""))
        case 413:
            return PayloadTooLarge("The body may have 1 MiB at most.")
        case status if 400 <= status < 500:
            return Invalid("The body cannot be read: send UTF-8 JSON.")
    return Internal(str(error.detail))
