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
    Internal,
    Invalid,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    Unavailable,
)
from kit.logs import logger
from kit.wire import ErrorBody, ErrorEnvelope

log = logger(__name__)
NO_DATABASE = "The database cannot be reached just now; nothing was changed, please try again."


class OtherMethod(MethodNotAllowed):
    """There is something at this path, but for other methods."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"Only {allowed} is possible here.")
        self.allowed = allowed


def named(error: Exception) -> AppError | None:
    """The error with a name that this failure is; None for a bug."""
    match error:
        case AppError():
            return error
        case RequestValidationError():
            return invalid(error.errors())
        case HTTPException():
            return _http(error)
        case IntegrityError() if isinstance(error.orig, UniqueViolation):
            return Conflict("Something with this name exists already in the project.")
        case DBAPIError() if error.connection_invalidated or isinstance(error.orig, OperationalError):
            return Unavailable(NO_DATABASE)
        case PoolTimeout() | OperationalError():
            return Unavailable(NO_DATABASE)
    return None


def invalid(faults: Sequence[Any]) -> Invalid:
    """The first fault of a schema, in words that name the field and never repeat what was sent."""
    fault = faults[0]
    kind, place = fault["type"], [str(part) for part in fault["loc"]]
    if kind == "json_invalid":
        return Invalid(f"The body is not valid JSON: {fault['ctx']['error']}.")
    if place == ["body"] and kind in ("missing", "model_attributes_type", "model_type", "dict_type"):
        return Invalid("Send a JSON object as the body, with `Content-Type: application/json`.")
    field = ".".join(place[1:])
    words = {"missing": "This field is required.", "extra_forbidden": "There is no such field."}
    said = words.get(kind) or fault["msg"].removeprefix("Value error, ")
    return Invalid(f"{field}: {said}" if field else said, field=field or None)


def refused(error: ValidationError | ValueError, field: str) -> Invalid:
    """A rule that a model found broken while a handler built it."""
    said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return Invalid(f"{field}: {said.removeprefix('Value error, ')}", field=field)


def report(failure: Exception, error: AppError | None) -> None:
    """Log what is the server's own fault: all of a bug, a line of something that cannot be reached."""
    if error is None or isinstance(error, Internal):
        log.error("request failed of a bug", exc_info=failure)
    elif error.status > Internal.status:
        log.warning("request failed", reason=error.message, cause=repr(failure.__cause__ or failure))


def respond(scope: Scope, error: AppError) -> Response:
    """The error envelope; with `X-API-Version: 1` its old form."""
    request_id: str = scope["request_id"]
    message = error.message if error.status != Internal.status else "Something went wrong on our side."
    headers = {"Retry-After": str(math.ceil(error.retry_after))} if error.retry_after is not None else {}
    if isinstance(error, OtherMethod):
        headers["Allow"] = error.allowed
    if (b"x-api-version", b"1") in scope["headers"]:
        from_v1 = 403 if error.status == 401 else error.status
        return Response(orjson.dumps({"error": message}), from_v1, headers, media_type="application/json")
    envelope = ErrorEnvelope(
        error=ErrorBody(
            code=error.code,
            message=message,
            field=error.field,
            request_id=request_id,
            retryable=True if error.retryable else None,
        )
    )
    content = envelope.model_dump_json(by_alias=True, exclude_none=True)
    return Response(content, error.status, headers, media_type="application/json")


def _http(error: HTTPException) -> AppError:
    """What Starlette and FastAPI raise themselves."""
    match error.status_code:
        case 404:
            return NotFound("There is nothing at this path; see GET /api/v1/openapi.json for what there is.")
        case 405:
            return OtherMethod((error.headers or {}).get("Allow", ""))
        case 413:
            return PayloadTooLarge("The body may have 1 MiB at most.")
        case status if 400 <= status < 500:
            return Invalid("The body cannot be read: send UTF-8 JSON.")
    return Internal(str(error.detail))
