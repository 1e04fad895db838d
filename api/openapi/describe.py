"""What the API says of itself: OpenAPI 3.1 from the routes, with examples, errors and scopes."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, get_args, get_type_hints

from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel

from api.auth import Access
from api.http.route import IDEMPOTENT_METHODS
from api.realtime.event_stream import EventStream
from kit.schemas import Envelope, ErrorEnvelope, Page, Read
from models.projects.project import Role

Endpoint = Callable[..., Awaitable[object]]
TITLE = "CodeCourier"
VERSION = "1.0.0"
INTRODUCTION = """Everything that CodeCourier does, over REST.

Pass a project API key as `Authorization: Bearer cc_live_…`.  Success is `{"data": …}`, lists add `nextCursor`
and `hasMore`, errors are `{"error": {"code", "message", "field", "errors", "requestId", "retryable"}}`.
Every object carries its id twice, as `id` and as `_id`.

## Headers of requests

* `Idempotency-Key` (POST and PATCH): the request is done once, and repeated with the same key within 24 hours
  it is answered as it was the first time, with `Idempotent-Replayed: true`.  It counts for one API key.  An
  answer that showed a secret is not kept: the repeat is refused with 409 `SECRET_SHOWN` and names what was
  made.
* `If-None-Match` (GET of one object): the `ETag` of an earlier answer; 304 without a body while the object is
  unchanged.
* `If-Match` (changes of one object): the `ETag` of the answer that the change is based on, or several, or
  `*`; 412 if the object has changed since, and nothing is done.  An operation that does not depend on the
  state of one object answers 400 to it.
* `X-API-Version: 1` (any): errors in the form of the first version, `{"error": "message"}`, with 403 instead
  of 401.
* `X-Request-ID` (any): a UUID that names the request in the server's log, and comes back as a header of the
  answer; a new one is made when it is left out.

## Rate limits

Requests are counted to their key, and to the address that they come from as long as no valid key is shown.
`RateLimit-Policy` names the limits that an answer was counted to, as `"key";q=6000;w=60`: 6000 requests in 60
seconds, all at once if need be.  `RateLimit` says how you stand, as `"key";r=5999;t=1`: 5999 are left, and
within a second there is more.  Both are those of draft-ietf-httpapi-ratelimit-headers-10.  What exceeds a
limit is refused with 429 `RATE_LIMITED` and did nothing: try again after the seconds of `Retry-After`.  A
project can have so many event streams open at a time, `"streams";q=100;qu="concurrent-requests"`."""
TAGS = {
    "Discovery, identity and others": "This description, and which key a request was made with.",
    "Probes": "Whether the server is up, for load balancers and monitoring; they need no key.",
    "Project Management": "The key's project: its settings, its figures, and its deletion.",
    "Members": "The people of the project and their roles.",
    "Cost Rates": "What models cost, in US dollars per million tokens; the project's own rates go first.",
    "API Keys": "The keys of this API: made, listed and revoked.",
    "Provider Keys": "The project's own keys of outside systems, such as GitHub and model providers.",
    "Workflows": "Pipelines of steps that runs execute; every change of one makes a new version.",
    "Personas": "Who works on a step: a model with instructions and assets.",
    "Contexts": "Texts that are put into the system prompts of agents, in versions.",
    "Skills": "Bundles of files that agents find in their sandboxes, in versions.",
    "Commands": "Instructions that a prompt invokes by their name, in versions.",
    "Scripts": "Programs that are run in sandboxes before or after agents work, in versions.",
    "Runs": "Executions of workflows on a repository: started, listed, and moved to the trash.",
    "Runs (lifecycle actions)": "A run at work: followed, paused, resumed, stopped, and sent messages.",
    "Budgets": "What models may cost in a run, a chain, a merge, or a month of the project.",
    "Pull Requests": "The pull requests of runs, and their merges.",
    "Issues": "What should be done to the code, and how far it is.",
    "Work Chains": "Issues in a row: one run and one pull request each, on top of one another.",
    "Merging": "Merge jobs: a run's pull request into its base branch, or several pull requests into one.",
    "Branches": "The branches of the project's repository, as GitHub has them.",
    "Sprint Chains": "One prompt over numbered sprints: one run and one pull request each.",
    "Issue Sessions": "Scans of the project's repository, in which an agent reports issues.",
    "Answering Sessions": "Questions about what an issue session found, their reviews, and the answers.",
    "Session Questions": "The questions of an answering session, and their reviews.",
    "Recurring Tasks": "Prompts that start a run at the same time of the day again and again.",
    "Sandboxes": "The machines that agents work in: created, looked into, and talked to.",
    "Notifications": "What the key's member should know.",
    "Webhooks": "Events sent to endpoints of yours, and events that other systems send here.",
    "Analytics": "What was used, what it cost, and how runs ended.",
    "Learnings": "What runs have taught: found by agents or written by people, then approved or rejected.",
    "Learning Versions": "The approved learnings as one document that agents are given, in versions.",
    "Events": "Everything that happens in the project, in order.",
    "Files": "Images that are uploaded and shown to the agents of a run.",
    "Trash": "What was deleted and can be restored, of every kind.",
}
"""What the operations under each heading are about."""
HEADERS = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "required": False,
        "description": "1 to 255 printable characters that make the request safe to repeat: within 24 hours, "
        "the same request with the same key is answered as it was the first time; another request with it,"
        " and the repeat of one whose answer showed a secret, are refused with 409.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    "IfNoneMatch": {
        "name": "If-None-Match",
        "in": "header",
        "required": False,
        "description": "The `ETag` of an earlier answer, or several: 304 without a body while the object is "
        "unchanged.",
        "schema": {"type": "string"},
    },
}
"""Headers that many operations understand, described once."""
LIMIT_HEADERS = {
    "Retry-After": {
        "description": "Seconds after which to try again.",
        "schema": {"type": "integer", "minimum": 0},
    },
    "RateLimit": {
        "description": "How the client stands: what is left of a limit (`r`), and in how many seconds there "
        "is more (`t`).",
        "schema": {"type": "string"},
    },
    "RateLimit-Policy": {
        "description": "The limits that the request was counted to: `q` requests in `w` seconds.",
        "schema": {"type": "string"},
    },
}
"""Of answers that a limit refused; the second and the third are on the others, too."""
KEY_SCHEME = {
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
    412: "`If-Match` names another state of the object.",
    413: "The body is over 1 MiB.",
    429: "Too many requests; see Retry-After.",
    500: "A bug of the server.",
    502: "GitHub refused or failed; the message says why.",
    503: "The database or Temporal cannot be reached just now.",
}


PARAMETERS = {
    "id": "The object's id.",
    "name": "The object's name.",
}
"""Descriptions of the parameters that mean the same everywhere."""


def describe(
    handler: Endpoint, method: str, access: Access | None, *, upstream: bool = False
) -> dict[str, Any]:
    """The documenting options of a route: summary, description, errors and scope."""
    summary, _, rest = inspect.cleandoc(handler.__doc__ or "").partition("\n\n")
    scopes = [access.scope] if access and access.scope else []
    needed = f"Needs the scope `{scopes[0]}`." if scopes else f"Needs {'a valid' if access else 'no'} key."
    if access and access.scopes:
        by_kind = ", ".join(f"`{scope}` for `{kind}`" for kind, scope in access.scopes.items())
        needed = f"Needs the scope of the object's own kind: {by_kind}."
    if access:
        needed += f" Needs the role `{access.role}`{'' if access.role is Role.owner else ' or above'}."
    codes = [400, 401, 403, 404, 429, 500, 503] if access else [500, 503]
    codes += [409, 413] if method != "GET" else []
    codes += [412] if method != "GET" and access else []
    codes += [409, 502] if upstream else []
    codes += [400, 401, 404, 429] if method != "GET" and access is None else []
    errors: dict[int, dict[str, Any]] = {
        code: {"model": ErrorEnvelope, "description": _ERRORS[code]} for code in sorted({*codes})
    }
    if 429 in errors:
        references = {name: {"$ref": f"#/components/headers/{name}"} for name in LIMIT_HEADERS}
        errors[429]["headers"] = references
    return {
        "summary": " ".join(summary.split()).rstrip("."),
        "description": " ".join([*rest.split(), needed]),
        "responses": errors,
        "openapi_extra": {
            "security": [{"ProjectKey": scopes}] if access else [],
            **({"x-scopes": dict(access.scopes)} if access and access.scopes else {}),
        },
    }


def schema(routes: Sequence[APIRoute]) -> dict[str, Any]:
    """The whole description.

    Examples are added at the end, because FastAPI drops every `null` in them.
    """
    used = dict.fromkeys(str(tag) for route in routes for tag in route.tags)
    tags = [{"name": tag, "description": TAGS[tag]} for tag in used]
    document = get_openapi(title=TITLE, version=VERSION, description=INTRODUCTION, routes=routes, tags=tags)
    components = document["components"]
    components["parameters"] = HEADERS
    components["headers"] = LIMIT_HEADERS
    components["securitySchemes"] = {"ProjectKey": KEY_SCHEME}
    for unused in ("HTTPValidationError", "ValidationError"):
        del components["schemas"][unused]
    for component in components["schemas"].values():
        component.pop("examples", None)
    for route in routes:
        for method in route.methods or ():
            operation = document["paths"][route.path_format][method.lower()]
            _complete_operation(operation, route)
            _add_headers(operation, method, route.response_model)
    return document


def _complete_operation(operation: dict[str, Any], route: APIRoute) -> None:
    for parameter in operation.get("parameters", []):
        parameter.setdefault("description", PARAMETERS.get(parameter["name"], ""))
    operation["responses"].pop("422", None)  # FastAPI's own form of a 400, which never occurs here
    content = operation["responses"][str(route.status_code)]["content"]
    if route.response_model is not None:
        content["application/json"]["example"] = _success_response(route.response_model)
    if EventStream in get_args(get_type_hints(route.endpoint)["return"]):
        content["text/event-stream"] = {"schema": {"type": "string"}}
    if route.body_field is not None:
        body = operation["requestBody"]["content"]["application/json"]
        body["example"] = _example(route.body_field.field_info.annotation)


def _add_headers(operation: dict[str, Any], method: str, shape: Any) -> None:
    names = []
    if method in IDEMPOTENT_METHODS and operation["security"]:
        names.append("IdempotencyKey")
    if method == "GET" and operation["security"] and _has_etag(shape):
        names.append("IfNoneMatch")
        operation["responses"]["304"] = {"description": "`If-None-Match` names this state of the object."}
    if names:
        references = [{"$ref": f"#/components/parameters/{name}"} for name in names]
        operation["parameters"] = [*operation.get("parameters", []), *references]


def _has_etag(shape: Any) -> bool:
    """Whether it is one object with an identity; see `api.http.responses.DeferredResponse`."""
    if shape is None or shape.__pydantic_generic_metadata__["origin"] is not Envelope:
        return False
    return issubclass(shape.__pydantic_generic_metadata__["args"][0], Read)


def _success_response(shape: type[BaseModel]) -> dict[str, Any]:
    if not shape.__pydantic_generic_metadata__["args"]:
        return dict(_example(shape))
    inner = shape.__pydantic_generic_metadata__["args"][0]
    if issubclass(shape, Page):
        return {"data": [_example(inner)], "nextCursor": None, "hasMore": False}
    return {"data": _example(inner)}


def _example(model: Any) -> Any:
    extra = model.model_config.get("json_schema_extra")
    if not isinstance(extra, dict) or "examples" not in extra:
        raise TypeError(f"{model.__name__} has no example: give it one with `models.json_view.example`")
    return extra["examples"][0]
