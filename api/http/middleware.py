"""The outermost layer, plain ASGI: request id, CORS, how the client stands with its limits, access log, the
answer when nothing else answered."""

from time import perf_counter
from uuid import UUID, uuid4

import structlog
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http import access_log
from api.http.errors import error_response, log_error, to_app_error
from api.http.rate_limits import headers_of
from kit.errors import Internal

CORS_HEADERS = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"X-Request-ID, Retry-After, RateLimit, RateLimit-Policy, Idempotent-Replayed, ETag",
    ),
]
PREFLIGHT_HEADERS = {
    "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key, If-Match, "
    "If-None-Match, Last-Event-ID, X-API-Version, X-Request-ID",
    "Access-Control-Max-Age": "86400",
}


class RequestMiddleware:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = perf_counter(), 0
        request_id = scope["request_id"] = _request_id(scope)
        extra = [(b"x-request-id", request_id.encode()), *CORS_HEADERS]
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def reply(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], *extra, *headers_of(scope)]
            await send(message)

        if scope["method"] == "OPTIONS":
            await Response(status_code=204, headers=PREFLIGHT_HEADERS)(scope, receive, reply)
            return
        if scope["method"] == "HEAD":  # answered like GET; the server sends no body
            scope["method"] = "GET"
            scope["head"] = True
        try:
            await self._app(scope, receive, reply)
        except Exception as failure:
            error = to_app_error(failure)
            log_error(failure, error)
            if (
                status
            ):  # too late for another answer: the connection is cut, so that nobody takes it for whole
                raise
            await error_response(scope, error or Internal("A bug."))(scope, receive, reply)
        finally:
            access_log.log_request(scope, status, perf_counter() - began)


def _request_id(scope: Scope) -> str:
    """The client's own when it is a well-formed UUID, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and len(value) == 36:
            try:
                return str(UUID(value.decode("ascii")))
            except ValueError:
                break
    return str(uuid4())
