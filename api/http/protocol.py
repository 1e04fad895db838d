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
        self._too_late: asyncio.TimerHandle | None = None
        self._in_head = True
        self._head = 0
        """Bytes of the head that came before: of an unfinished header nobody is told until its end."""
        self._told = 0
        """Bytes of the parts of the head that were told."""
        self._stretch = 0
        """Bytes of the body that came since there was more time for it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._too_late is None:
            self._expect()
        super().data_received(data)
        if self._in_head:
            self._head += len(data)
            if self._head > MAX_HEAD_BYTES:
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head, self._told, self._stretch = True, 0, 0, 0
        if self._too_late is None:
            self._expect()

    def on_url(self, url: bytes) -> None:
        self._tell(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._tell(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._stretch += len(body)
        if self._stretch >= BODY_BYTES_PER_TIMEOUT:
            self._stretch = 0
            self._expect_nothing()
            self._expect()

    def on_message_complete(self) -> None:
        self._expect_nothing()
        super().on_message_complete()

    def _tell(self, size: int) -> None:
        self._told += size
        if self._told > MAX_HEAD_BYTES:
            raise ValueError("the head is too long")  # uvicorn answers 400 and closes the connection

    def _expect(self) -> None:
        """A whole request, from now on."""
        self._too_late = self.loop.call_later(REQUEST_TIMEOUT_SECONDS, self.transport.close)

    def _expect_nothing(self) -> None:
        if self._too_late is not None:
            self._too_late.cancel()
            self._too_late = None
