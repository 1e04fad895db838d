"""A scripted Messages API: the real `anthropic` SDK talks to it when there is no key for the real one.

POST /v1/messages               streamed or whole; answers come from scenario files and say so
POST /v1/messages/count_tokens
GET  /v1/models[/{id}]
GET  /health                    204, without a key
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import sys
from collections import Counter
from collections.abc import Sequence

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from local.model.model_ids import MODELS
from local.model.requests import ApiError, MessagesRequest, invalid, parse_request
from local.model.responses import ScriptedResponse, respond
from local.model.rules import check
from local.model.scenarios import Fault, Scenario, ScenarioError, StatusFault
from local.model.stream import Event, EventStream, Usage, events, message, truncate_response
from local.model.token_usage import PromptCache, input_tokens

ERROR_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


class ScriptedModel:
    """The server: its scenarios, its prompt cache and how many faults of each turn it already gave."""

    def __init__(self, api_key: str, scenarios: Sequence[Scenario]) -> None:
        self._api_key, self._scenarios = api_key, scenarios
        self._cache, self._faults_given = PromptCache(), Counter[str]()

    def app(self) -> ASGIApp:
        routes = [
            Route("/health", self._health, methods=["GET"]),
            Route("/v1/messages", self._messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self._count_tokens, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{id}", self._model, methods=["GET"]),
        ]
        return Starlette(routes=routes, exception_handlers={ApiError: _api_error, 404: _unknown_path})

    async def _health(self, _: Request) -> Response:
        return Response(status_code=204)

    async def _messages(self, http: Request) -> ASGIApp:
        self._authorise(http)
        request = parse_request(await http.body())
        assert isinstance(request, MessagesRequest)
        check(request, MODELS)
        try:
            reply = respond(request, self._scenarios)
        except ScenarioError as error:
            raise invalid(str(error)) from error
        fault = self._next_fault(reply)
        if isinstance(fault, StatusFault):
            words = f"scripted fault {fault.status}"
            raise ApiError(
                fault.status, ERROR_TYPES.get(fault.status, "api_error"), words, retry_after=fault.retry_after
            )
        if fault in ("refusal", "maxTokens"):
            reply, fault = truncate_response(reply, fault), None
        tokens = self._cache.count(request)
        usage: Usage = {
            "input_tokens": tokens.fresh,
            "cache_creation_input_tokens": tokens.cache_creation,
            "cache_read_input_tokens": tokens.cache_read,
            "output_tokens": reply.output_tokens,
        }
        log_request(request, reply, tokens.all + reply.output_tokens)
        delay = reply.turn.delay_ms / 1000
        if request.stream:
            return EventStream([*events(reply, request.model, usage)], _request_id(), delay, fault)
        await asyncio.sleep(delay)
        if fault in ("cut", "truncated", "malformed"):
            raise ApiError(500, "api_error", f"scripted fault {fault}: only a stream can be {fault}")
        return JSONResponse(message(reply, request.model, usage), headers=_request_id())

    async def _count_tokens(self, http: Request) -> Response:
        self._authorise(http)
        request = parse_request(await http.body(), counting=True)
        check(request, MODELS)
        return JSONResponse({"input_tokens": input_tokens(request)}, headers=_request_id())

    async def _models(self, http: Request) -> Response:
        self._authorise(http)
        data = [_model_info(model) for model in MODELS]
        page = {"data": data, "has_more": False, "first_id": MODELS[0], "last_id": MODELS[-1]}
        return JSONResponse(page, headers=_request_id())

    async def _model(self, http: Request) -> Response:
        self._authorise(http)
        if http.path_params["id"] not in MODELS:
            raise ApiError(404, "not_found_error", f"model: {http.path_params['id']}")
        return JSONResponse(_model_info(http.path_params["id"]), headers=_request_id())

    def _authorise(self, http: Request) -> None:
        """The key comes as `x-api-key`, as documented, or as a bearer token, as the SDK now sends it."""
        scheme, _, bearer = http.headers.get("authorization", "").partition(" ")
        given = http.headers.get("x-api-key") or (bearer if scheme.lower() == "bearer" else "")
        if not given:
            raise ApiError(401, "authentication_error", "x-api-key header is required")
        if not hmac.compare_digest(given.encode(), self._api_key.encode()):
            raise ApiError(401, "authentication_error", "invalid x-api-key")
        if "anthropic-version" not in http.headers:
            raise invalid("anthropic-version: header is required")

    def _next_fault(self, reply: ScriptedResponse) -> Fault | None:
        given = self._faults_given[reply.conversation]
        if given >= len(reply.turn.faults):
            return None
        self._faults_given[reply.conversation] += 1
        return reply.turn.faults[given]


def log_request(request: MessagesRequest, reply: ScriptedResponse, tokens: int) -> None:
    """Write down what is charged for: a line of JSON for each answer, whether or not its client gets it.

    `conversation` is the digest of its opening, `turn` counts the answers before this one.
    """
    conversation = hashlib.sha256(request.opening.encode()).hexdigest()[:24]
    turn = sum(each.role == "assistant" for each in request.turns)
    line = {"answered": reply.id, "conversation": conversation, "turn": turn, "tokens": tokens}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _model_info(id: str) -> Event:
    line = next((line for line in ("haiku", "sonnet", "opus", "fable", "mythos") if line in id), None)
    return {
        "type": "model",
        "id": id,
        "display_name": f"{id} (scripted)",
        "created_at": "1970-01-01T00:00:00Z",
        "lifecycle": "active",
        "line": line,
        "max_input_tokens": 200_000,
        "max_tokens": 64_000,
    }


def _request_id() -> dict[str, str]:
    return {"request-id": f"req_{secrets.token_hex(12)}"}


def _api_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    headers = _request_id()
    body = {"type": "error", "error": {"type": error.type, "message": error.message}, **_body_id(headers)}
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    return JSONResponse(body, error.status, headers=headers)


def _unknown_path(request: Request, _: Exception) -> Response:
    return _api_error(request, ApiError(404, "not_found_error", f"no such path: {request.url.path}"))


def _body_id(headers: dict[str, str]) -> dict[str, str]:
    return {"request_id": headers["request-id"]}
