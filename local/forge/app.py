"""The application: routes, the git front, pages, and GitHub's words for every refusal."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from local.forge.authentication import Authenticator
from local.forge.errors import ApiError, error_body
from local.forge.git.push_rules import write_hooks
from local.forge.git.smart_http import SmartHttp
from local.forge.github_app import App
from local.forge.graphql import routes as graphql
from local.forge.html import pages
from local.forge.rest.router import router
from local.forge.store.pull_request_sync import sync_pull_requests
from local.forge.store.repositories import Store
from local.forge.viewer import API
from local.forge.webhooks import hooks
from local.forge.webhooks.sender import WebhookSender

RATE_LIMIT = 1_000_000  # counted and told as GitHub does, never enforced
RATE_LIMIT_WINDOW_SECONDS = 3600
API_PREFIXES = (API, "/graphql", "/api/graphql")
MAX_BODY_BYTES = 10 * 2**20  # bytes of JSON; pushes are not limited


@dataclass(frozen=True)
class Forge:
    """What one forge is.

    data: its directory; root: the address it is reached at, for links in webhooks; login: its own user;
    tokens: of each user by login; webhook_url: where everything that happens is told, signed with the secret;
    app: a GitHub App that it knows.
    """

    data: Path
    root: str
    login: str
    tokens: Mapping[str, str]
    webhook_url: str | None = None
    webhook_secret: str | None = None
    app: App | None = None


def create_app(forge: Forge) -> FastAPI:
    """The application of a forge."""
    store, keeper = Store(forge.data, forge.login), Authenticator(forge.tokens, forge.app)
    write_hooks(store.hooks)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await hooks.configure_app_hook(store.db, forge.webhook_url, forge.webhook_secret, forge.login)
        for repo in await store.all():
            await sync_pull_requests(
                repo, forge.login
            )  # what a crash left between a push and its pull request
        async with WebhookSender(store, forge.root).running():
            yield
        store.close()

    app = FastAPI(
        title="forge", openapi_url=None, lifespan=lifespan, strict_content_type=False, redirect_slashes=False
    )
    app.state.store, app.state.keeper = store, keeper
    app.add_api_route("/health", health, status_code=204)
    app.include_router(router, prefix=API, max_body_size=MAX_BODY_BYTES)
    app.include_router(graphql.router, max_body_size=MAX_BODY_BYTES)
    git = SmartHttp(store, keeper)
    app.router.routes += [
        Route("/{owner}/{repo}/info/refs", git, methods=["GET"]),
        Route("/{owner}/{repo}/git-upload-pack", git, methods=["POST"]),
        Route("/{owner}/{repo}/git-receive-pack", git, methods=["POST"]),
    ]
    app.include_router(pages.router)
    app.add_exception_handler(ApiError, handle_api_error)
    app.add_exception_handler(RequestValidationError, handle_validation_error)
    app.add_exception_handler(HTTPException, handle_http_exception)
    app.add_middleware(ETagMiddleware)
    app.add_middleware(ApiHeadersMiddleware)
    return app


async def health() -> None:
    """Nothing to say: the database is open and the routes are there."""


async def handle_api_error(_: Request, error: Exception) -> JSONResponse:
    """Our own refusals."""
    assert isinstance(error, ApiError)
    return JSONResponse(error.body(), error.status)


async def handle_validation_error(request: Request, error: Exception) -> JSONResponse:
    """Input that does not fit: 404 for an address, 400 for no JSON, 422 for wrong fields."""
    assert isinstance(error, RequestValidationError)
    faults = error.errors()
    if any(fault["loc"][0] == "path" for fault in faults):
        return JSONResponse(error_body(404, "Not Found"), 404)
    if any(fault["type"] == "json_invalid" for fault in faults):
        return JSONResponse(error_body(400, "Problems parsing JSON"), 400)
    errors = [
        {
            "resource": request.url.path.rsplit("/", 1)[-1],
            "field": ".".join(str(word) for word in fault["loc"][1:]),
            "code": "missing_field" if fault["type"] == "missing" else "invalid",
            "message": fault["msg"],
        }
        for fault in faults
    ]
    return JSONResponse(error_body(422, "Validation Failed", errors), 422)


async def handle_http_exception(_: Request, error: Exception) -> JSONResponse:
    """Addresses and methods that do not exist."""
    assert isinstance(error, HTTPException)
    message = "Not Found" if error.status_code in {404, 405} else error.detail
    status = 404 if error.status_code == 405 else error.status_code
    return JSONResponse(error_body(status, message), status, headers=error.headers)


class ETagMiddleware:
    """Gives answers of the API an ETag; what a client names as known (`If-None-Match`) is answered 304."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].startswith(API):
            await self._app(scope, receive, send)
            return
        known = MutableHeaders(scope=scope).get("If-None-Match")
        start: Message = {}
        body = b""

        async def hold(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if start["status"] == 200:
                headers = MutableHeaders(scope=start)
                headers["ETag"] = f'W/"{sha256(body).hexdigest()}"'
                if headers["ETag"] == known:
                    start["status"], body = 304, b""
                    del headers["Content-Length"]
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, hold)


class ApiHeadersMiddleware:
    """Reads every body of the API as JSON; adds request id and rate-limit headers to every answer.

    As on GitHub, a 304 counts to no limit.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._window = 0
        self._used = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(API_PREFIXES):
            await self._app(scope, receive, send)
            return
        MutableHeaders(scope=scope)["Content-Type"] = "application/json"  # whatever `curl -d` says
        resource = "core" if scope["path"].startswith(API) else "graphql"

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._counted(message["status"], resource))
            await send(message)

        await self._app(scope, receive, with_headers)

    def _counted(self, status: int, resource: str) -> dict[str, str]:
        window = int(time.time()) // RATE_LIMIT_WINDOW_SECONDS
        if window != self._window:
            self._window, self._used = window, 0
        self._used += status != 304
        return {
            "X-GitHub-Request-Id": uuid4().hex.upper(),
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-RateLimit-Limit": str(RATE_LIMIT),
            "X-RateLimit-Used": str(self._used),
            "X-RateLimit-Remaining": str(max(0, RATE_LIMIT - self._used)),
            "X-RateLimit-Reset": str((window + 1) * RATE_LIMIT_WINDOW_SECONDS),
            "X-RateLimit-Resource": resource,
        }
