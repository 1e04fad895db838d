"""What the API says of itself: OpenAPI 3.1 from the routes, with examples, errors and scopes."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_type_hints

from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from starlette.routing import BaseRoute

from api.events import EventStream
from api.keys import Access
from kit.wire import Body, ErrorEnvelope, Page

TITLE = "CodeCourier"
VERSION = "1.0.0"
INTRODUCTION = """Everything that CodeCourier does, over REST.

Pass a project API key as `Authorization: Bearer cc_live_…`.  Success is `{"data": …}`, lists add `nextCursor`
and `hasMore`, errors are `{"error": {"code", "message", "field", "requestId", "retryable"}}`.  POST requests
accept an `Idempotency-Key`.  Every object carries its id twice, as `id` and as `_id`."""
KEY = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "cc_live_…",
    "description": "A project API key.  Each operation names the one scope that it needs.",
}
_ERRORS = {
    400: "The request does not fit its schema.",
    401: "No key, or one that is malformed, unknown, expired or revoked.",
    403: "The key lacks the scope, or a rule forbids it.",
    404: "Unknown, or another project's.",
    409: "The state does not allow it, or the Idempotency-Key was used otherwise.",
    413: "The body is over 1 MiB.",
    429: "Too many requests; see Retry-After.",
    500: "A bug of the server.",
    503: "The database or the engine cannot be reached just now.",
}


def describe(
    handler: Callable[..., Awaitable[object]],
    method: str,
    status: int,
    shape: Any,
    access: Access | None,
    example: Any,
) -> dict[str, Any]:
    """The documenting options of a route: summary, errors and examples, from the handler and its types."""
    summary, _, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    scopes = [access.scope] if access and access.scope else []
    needed = (
        f"Needs the scope `{scopes[0]}`." if scopes else "Needs a valid key." if access else "Needs no key."
    )
    codes = [400, 401, 403, 404, 429, 500, 503] if access else [500, 503]
    codes += [409, 413] if method != "GET" else []
    extra: dict[str, Any] = {"security": [{"ProjectKey": scopes}] if access else []}
    if shape is not None:
        extra["responses"] = {str(status): {"content": {"application/json": {"example": _answer(shape)}}}}
    if EventStream in get_args(get_type_hints(handler)["return"]):
        extra["responses"]["200"]["content"]["text/event-stream"] = {"schema": {"type": "string"}}
    for hint in get_type_hints(handler).values():
        if isinstance(hint, type) and issubclass(hint, Body):
            extra["requestBody"] = {"content": {"application/json": {"example": example or _example(hint)}}}
    return {
        "summary": " ".join(summary.split()).rstrip("."),
        "description": " ".join([*rest.split(), needed]),
        "responses": {code: _error(code) for code in sorted(codes)},
        "openapi_extra": extra,
    }


def schema(routes: Sequence[BaseRoute]) -> dict[str, Any]:
    """The whole description."""
    document = get_openapi(title=TITLE, version=VERSION, description=INTRODUCTION, routes=routes)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own form of a 400, which never occurs here
    document["components"]["securitySchemes"] = {"ProjectKey": KEY}
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)
    return document


def _error(code: int) -> dict[str, Any]:
    return {"model": ErrorEnvelope, "description": _ERRORS[code]}


def _answer(shape: type[BaseModel]) -> dict[str, Any]:
    inner = shape.__pydantic_generic_metadata__["args"][0]
    if issubclass(shape, Page):
        return {"data": [_example(inner)], "nextCursor": None, "hasMore": False}
    return {"data": _example(inner)}


def _example(model: type[BaseModel]) -> Any:
    extra = model.model_config.get("json_schema_extra")
    if not isinstance(extra, dict) or not isinstance(extra.get("examples"), list):
        raise TypeError(f"{model.__name__} has no example")
    return extra["examples"][0]  # type: ignore[index]
