"""What the API says of itself: OpenAPI 3.1 from the routes, with examples, errors and scopes."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_type_hints

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.events import EventStream
from api.keys import Access
from kit.wire import ErrorEnvelope, Page

Endpoint = Callable[..., Awaitable[object]]
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
    502: "GitHub refused or failed; the message says why.",
    503: "The database or the engine cannot be reached just now.",
}


def describe(
    handler: Endpoint, method: str, access: Access | None, *, upstream: bool = False
) -> dict[str, Any]:
    """The documenting options of a route: summary, description, errors and scope."""
    summary, _, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    scopes = [access.scope] if access and access.scope else []
    needed = f"Needs the scope `{scopes[0]}`." if scopes else f"Needs {'a valid' if access else 'no'} key."
    codes = [400, 401, 403, 404, 429, 500, 503] if access else [500, 503]
    codes += [409, 413] if method != "GET" else []
    codes += [409, 502] if upstream else []
    codes += [400, 401, 404] if method != "GET" and access is None else []
    errors = {code: {"model": ErrorEnvelope, "description": _ERRORS[code]} for code in sorted({*codes})}
    return {
        "summary": " ".join(summary.split()).rstrip("."),
        "description": " ".join([*rest.split(), needed]),
        "responses": errors,
        "openapi_extra": {"security": [{"ProjectKey": scopes}] if access else []},
    }


def schema(routes: Sequence[APIRoute]) -> dict[str, Any]:
    """The whole description.

    Examples are added at the end, because FastAPI drops every `null` in them.
    """
    document = get_openapi(title=TITLE, version=VERSION, description=INTRODUCTION, routes=routes)
    components = document["components"]
    components["securitySchemes"] = {"ProjectKey": KEY}
    for unused in ("HTTPValidationError", "ValidationError"):
        del components["schemas"][unused]
    for component in components["schemas"].values():
        component.pop("examples", None)
    for route in routes:
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route)
    return document


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    operation["responses"].pop("422", None)  # FastAPI's own form of a 400, which never occurs here
    content = operation["responses"][str(route.status_code)]["content"]
    if route.response_model is not None:
        content["application/json"]["example"] = _answer(route.response_model)
    if EventStream in get_args(get_type_hints(route.endpoint)["return"]):
        content["text/event-stream"] = {"schema": {"type": "string"}}
    if route.body_field is not None:
        body = operation["requestBody"]["content"]["application/json"]
        body["example"] = _example(route.body_field.field_info.annotation)


def _answer(shape: type[BaseModel]) -> dict[str, Any]:
    inner = shape.__pydantic_generic_metadata__["args"][0]
    if issubclass(shape, Page):
        return {"data": [_example(inner)], "nextCursor": None, "hasMore": False}
    return {"data": _example(inner)}


def _example(model: Any) -> Any:
    extra = model.model_config.get("json_schema_extra")
    if not isinstance(extra, dict) or "examples" not in extra:
        raise TypeError(f"{model.__name__} has no example: give it one with `models.view.example`")
    return extra["examples"][0]
