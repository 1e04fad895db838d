"""The way to servers that listen on the sandbox's own loopback: what names a port goes there."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import h11
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from local.sandboxes.envd.relay import CHUNK_BYTES

_INTERNAL_HEADERS = frozenset({b"x-access-token", b"x-preview-port", b"host", b"connection"})
_HOP_BY_HOP = frozenset({b"connection", b"keep-alive", b"transfer-encoding"})


class PreviewProxy:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        port = dict(scope["headers"]).get(b"x-preview-port", b"") if scope["type"] == "http" else b""
        if not port:
            await self._app(scope, receive, send)
            return
        begun = False
        try:
            async with aclosing(_exchange(Request(scope, receive), int(port))) as events:
                async for event in events:
                    if isinstance(event, h11.Response):
                        begun = True
                        kept = [pair for pair in event.headers if pair[0] not in _HOP_BY_HOP]
                        status = event.status_code
                        await send({"type": "http.response.start", "status": status, "headers": kept})
                    else:
                        await send(
                            {"type": "http.response.body", "body": bytes(event.data), "more_body": True}
                        )
        except (OSError, OverflowError, h11.ProtocolError) as error:
            if begun:  # too late for another answer: the connection is cut
                raise
            words = f"Nothing answers on port {int(port)} of the sandbox ({type(error).__name__}).\n"
            await PlainTextResponse(words, 502)(scope, receive, send)
            return
        await send({"type": "http.response.body", "body": b""})


async def _exchange(request: Request, port: int) -> AsyncGenerator[h11.Response | h11.Data, None]:
    """The answer of the server on that port: its head, then pieces of its body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        connection = h11.Connection(h11.CLIENT)
        headers = [
            (name, value) for name, value in request.headers.raw if name.lower() not in _INTERNAL_HEADERS
        ]
        target = request.url.path.encode() if not request.scope.get("raw_path") else request.scope["raw_path"]
        if request.url.query:
            target += b"?" + request.url.query.encode()
        headers += [(b"host", f"localhost:{port}".encode()), (b"connection", b"close")]
        head = h11.Request(method=request.method, target=target, headers=headers)
        writer.write(connection.send(head) or b"")
        async for chunk in request.stream():
            if chunk:
                writer.write(connection.send(h11.Data(data=chunk)) or b"")
                await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(CHUNK_BYTES))
            elif isinstance(event, h11.Response | h11.Data):
                yield event
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return
    finally:
        writer.close()
