"""The data plane: what carries a sandbox's id in its header goes to the envd of that sandbox as it is.

A request to `<port>-<sandbox id>.<any host>` goes to the server that listens on that port in the sandbox, as
E2B does it.
"""

import logging
import re
from collections.abc import AsyncIterator

import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local.sandboxes.fleet import Fleet, SandboxNotFound
from local.sandboxes.sandbox import BootFailed, Sandbox, SandboxGone

log = logging.getLogger(__name__)

_ENVD_PORT = "49983"
_PREVIEW = re.compile(r"(\d{1,5})-([A-Za-z0-9_]+)\.")
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"host"})


class DataPlane:
    """Sends requests for a sandbox to it, and every other to the control plane."""

    def __init__(self, control: ASGIApp, fleet: Fleet) -> None:
        self._control = control
        self._fleet = fleet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._control(scope, receive, send)
            return
        request = Request(scope, receive)
        if preview := _PREVIEW.match(request.headers.get("host", "")):
            await (await self._preview(request, preview[2], preview[1]))(scope, receive, send)
            return
        sandbox_id = request.headers.get("e2b-sandbox-id")
        answer = self._control if sandbox_id is None else await self._forward(request, sandbox_id)
        await answer(scope, receive, send)

    async def _forward(self, request: Request, sandbox_id: str) -> Response:
        port = request.headers.get("e2b-sandbox-port", _ENVD_PORT)
        if port != _ENVD_PORT:
            return _unavailable(
                sandbox_id, f"The sandbox is running but port is not open: {port} is not served here"
            )
        return await self._pass_on(_outgoing(request), sandbox_id)

    async def _preview(self, request: Request, sandbox_id: str, port: str) -> Response:
        """To the server on that port; envd, which alone is inside with it, carries it there."""
        outgoing = _outgoing(request)
        try:
            token = self._fleet.find(sandbox_id).record.access_token
        except SandboxNotFound:
            return _unavailable(sandbox_id, "The sandbox was not found")
        outgoing.headers["X-Access-Token"] = token
        outgoing.headers["X-Preview-Port"] = port
        return await self._pass_on(outgoing, sandbox_id)

    async def _pass_on(self, outgoing: httpx.Request, sandbox_id: str) -> Response:
        try:
            box = self._fleet.reach(sandbox_id)
            if box.faults.is_unreachable:
                return _unavailable(sandbox_id, "The sandbox is running but port is not open")
            incoming = await _send(box, outgoing)
        except (SandboxNotFound, SandboxGone):
            return _unavailable(sandbox_id, "The sandbox was not found")
        except ClientDisconnect:
            return Response(status_code=499)
        except (BootFailed, httpx.TransportError) as error:
            return _unavailable(sandbox_id, f"The sandbox did not answer: {error}")
        headers = [(name, value) for name, value in incoming.headers.raw if name.lower() not in _HOP_BY_HOP]
        return _ProxiedResponse(incoming, headers)


class _ProxiedResponse(StreamingResponse):
    """Passes a response on as it comes. When the sandbox goes away in the middle, so does the connection."""

    def __init__(self, incoming: httpx.Response, headers: list[tuple[bytes, bytes]]) -> None:
        super().__init__(_stream_body(incoming), incoming.status_code)
        self.raw_headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except httpx.TransportError as error:
            log.info("a stream was cut, its sandbox went away: %s", error)


async def _stream_body(incoming: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for chunk in incoming.aiter_raw():
            yield chunk
    finally:
        await incoming.aclose()


async def _send(box: Sandbox, request: httpx.Request) -> httpx.Response:
    """Send to envd; once more where it has just died, so that nothing of the request has left yet."""
    transport = await box.transport()
    try:
        return await transport.handle_async_request(request)
    except httpx.ConnectError:
        await box.lost(transport)
        return await (await box.transport()).handle_async_request(request)


def _outgoing(request: Request) -> httpx.Request:
    url = httpx.URL(scheme="http", host="envd", path=request.url.path, query=request.url.query.encode())
    headers = [(name, value) for name, value in request.headers.raw if name.lower() not in _HOP_BY_HOP]
    content = None if request.method in ("GET", "HEAD") else request.stream()
    return httpx.Request(request.method, url, headers=headers, content=content)


def _unavailable(sandbox_id: str, message: str) -> Response:
    return JSONResponse({"sandboxId": sandbox_id, "message": message, "code": 502}, 502)
