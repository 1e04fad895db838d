"""How requests arrive: uvicorn's own protocol, which waits for ever and keeps all it is sent, with bounds.

A connection that does not bring what it began in time is closed, and so is one whose request has too long a
head.  How long a body may be is decided where it is read (`api.http.request`).
"""

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MAX_HEAD_BYTES: Final = 64 * 1024
"""Bytes of a request's first line and headers."""
REQUEST_TIMEOUT_SECONDS: Final = 60.0
"""In which a request has to be there, once its connection is open or its first byte came..."""
BODY_BYTES_PER_TIMEOUT: Final = 1024 * 1024
"""...and for each such stretch of its body once more: bytes."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._timeout: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head = 0
        """Bytes of the head that came before: of an unfinished header nobody is told until its end."""
        self._parsed_head = 0
        """Bytes of the parts of the head that were told."""
        self._body_bytes = 0
        """Bytes of the body that came since there was more time for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_timeout()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timeout()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._timeout is None:
            self._start_timeout()
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head, self._parsed_head, self._body_bytes = True, 0, 0, 0
        if self._timeout is None:
            self._start_timeout()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._body_bytes += len(body)
        if self._body_bytes >= BODY_BYTES_PER_TIMEOUT:
            self._body_bytes = 0
            self._cancel_timeout()
            self._start_timeout()

    def on_message_complete(self) -> None:
        self._cancel_timeout()
        super().on_message_complete()

    def _count_head(self, size: int) -> None:
        self._parsed_head += size
        if self._parsed_head > MAX_HEAD_BYTES:
            raise ValueError("the head is too long")  # uvicorn answers 400 and closes the connection

    def _start_timeout(self) -> None:
        """A whole request, from now on."""
        self._timeout = self.loop.call_later(REQUEST_TIMEOUT_SECONDS, self.transport.close)

    def _cancel_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
