"""The control plane: E2B's REST API as far as its SDK uses it to create, find, pause and end sandboxes."""

import hmac
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Lifespan, Receive, Scope, Send

from local.sandboxes.faults import NewFaults
from local.sandboxes.fleet import Fleet, NewSandbox, SandboxNotFound
from local.sandboxes.limits.size import size_of
from local.sandboxes.records import Record, iso
from local.sandboxes.sandbox import BootFailed, SandboxGone

ENVD_VERSION = "0.6.4"  # the protocol envd speaks; the SDK decides by it what it may ask for
_NO_CONTENT = Response(status_code=204)


class Connect(BaseModel):
    timeout: int = Field(default=300, ge=0)
    memory: bool = True


class Timeout(BaseModel):
    timeout: int = Field(ge=0)


class Pause(BaseModel):
    memory: bool = True


class ListQuery(BaseModel):
    """The query of the list: `metadata` is itself a query string, whose parts the SDK quotes once more."""

    metadata: str = ""
    state: str = "running,paused"
    order: str = Field(default="asc", pattern="^(asc|desc)$")
    limit: int = Field(default=100, ge=1, le=1000)
    next_token: int = Field(default=0, ge=0, alias="nextToken")


class ApiKey:
    """Lets through the requests that carry the API key, and the question whether the server is alive."""

    def __init__(self, app: ASGIApp, key: str) -> None:
        self._app = app
        self._key = key.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health":
            given = dict(scope["headers"]).get(b"x-api-key", b"")
            if not hmac.compare_digest(given, self._key):
                await _error(401, "the header X-API-Key is missing or wrong")(scope, receive, send)
                return
        await self._app(scope, receive, send)


class ControlPlane:
    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def app(self, lifespan: Lifespan[Starlette]) -> Starlette:
        return Starlette(
            lifespan=lifespan,
            routes=[
                Route("/health", self.health),
                Route("/v2/sandboxes", self.create, methods=["POST"]),
                Route("/v2/sandboxes", self.list),
                Route("/v2/sandboxes/{id}/connect", self.connect, methods=["POST"]),
                Route("/sandboxes/{id}", self.get),
                Route("/sandboxes/{id}", self.kill, methods=["DELETE"]),
                Route("/sandboxes/{id}/timeout", self.timeout, methods=["POST"]),
                Route("/sandboxes/{id}/pause", self.pause, methods=["POST"]),
                Route("/sandboxes/{id}/faults", self.faults, methods=["PUT"]),
            ],
            exception_handlers={
                SandboxNotFound: lambda _, error: _error(404, str(error)),
                SandboxGone: lambda _, error: _error(404, "the sandbox was killed meanwhile"),
                BootFailed: lambda _, error: _error(500, str(error)),
                ValidationError: lambda _, error: _error(400, str(error)),
            },
        )

    async def health(self, request: Request) -> Response:
        return _NO_CONTENT

    async def create(self, request: Request) -> Response:
        new = NewSandbox.model_validate_json(await request.body())
        record = await self._fleet.create(new, request.headers.get("idempotency-key"))
        return JSONResponse(_created_shape(record), 201)

    async def list(self, request: Request) -> Response:
        """Pages by offset: a sandbox created or killed between two pages shifts the next one."""
        query = ListQuery.model_validate(dict(request.query_params))
        states = frozenset(query.state.split(","))
        metadata = {
            unquote(key): unquote(value) for key, value in parse_qsl(query.metadata, keep_blank_values=True)
        }
        found = [record for record in self._fleet.records() if record.matches(states, metadata)]
        found.sort(key=lambda record: record.started_at, reverse=query.order == "desc")
        end = query.next_token + query.limit
        headers = {"x-next-token": str(end)} if end < len(found) else None
        return JSONResponse(
            [self._detail(record) for record in found[query.next_token : end]], headers=headers
        )

    async def get(self, request: Request) -> Response:
        box = self._fleet.look_up(request.path_params["id"])
        detail = self._detail(box.record)
        return JSONResponse({**detail, "metadata": {**box.record.metadata, **box.refusals.metadata}})

    async def connect(self, request: Request) -> Response:
        """Resume a paused sandbox; the time left to a running one only ever grows."""
        box = self._fleet.look_up(request.path_params["id"])
        wish = Connect.model_validate_json(await request.body() or b"{}")
        resumed = await box.resume(memory=wish.memory)
        box.record.extend(wish.timeout, shorten=resumed)
        box.record.save()
        await box.transport()
        return JSONResponse(_created_shape(box.record), 201 if resumed else 200)

    async def kill(self, request: Request) -> Response:
        await self._fleet.delete(request.path_params["id"])
        return _NO_CONTENT

    async def timeout(self, request: Request) -> Response:
        record = self._fleet.look_up(request.path_params["id"]).record
        record.extend(Timeout.model_validate_json(await request.body()).timeout, shorten=True)
        record.save()
        return _NO_CONTENT

    async def pause(self, request: Request) -> Response:
        sandbox_id = request.path_params["id"]
        wish = Pause.model_validate_json(await request.body() or b"{}")
        if not await self._fleet.look_up(sandbox_id).pause(memory=wish.memory):
            return _error(409, f"sandbox {sandbox_id} is paused already")
        return _NO_CONTENT

    async def faults(self, request: Request) -> Response:
        """For tests; see `local.sandboxes.faults`."""
        new = NewFaults.model_validate_json(await request.body())
        await self._fleet.lay(request.path_params["id"], new)
        return _NO_CONTENT

    def _detail(self, record: Record) -> dict[str, object]:
        size = size_of(record.metadata, self._fleet.disk_mb)
        return {
            **_created_shape(record),
            "startedAt": iso(record.started_at),
            "endAt": iso(record.end_at),
            "state": record.state,
            "metadata": record.metadata,
            "allowInternetAccess": record.reach.internet,
            "cpuCount": size.cpu_count,
            "memoryMB": size.memory_mb,
            "diskSizeMB": size.disk_mb,
        }


def _created_shape(record: Record) -> dict[str, str | None]:
    return {
        "templateID": record.template_id,
        "sandboxID": record.sandbox_id,
        "clientID": "local",
        "alias": record.template_id,
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": record.access_token,
        "trafficAccessToken": None,
        "domain": None,
    }


def _error(status: int, message: str) -> Response:
    return JSONResponse({"code": status, "message": message}, status)
