"""One attempt to deliver a webhook: signed, to a checked address, soon over whatever the receiver does."""

import asyncio
import math
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Final

import httpx
import orjson
from pydantic import BaseModel
from standardwebhooks import Webhook

from gateways.webhooks.addresses import AddressRefused, check_url, resolve
from models.base import JsonObject

CONNECT_TIMEOUT_SECONDS: Final = 10.0
MAX_ANSWER_BYTES: Final = 4096
"""Bytes of an answer that are read; what follows is not waited for."""
MAX_EXCERPT_CHARS: Final = 500
USER_AGENT: Final = "CodeCourier-Webhooks/1.0"
GONE_STATUS: Final = 410
_MAY_NAME_A_WAIT: Final = (429, 503)


class DeliveryOutcome(BaseModel):
    """What came of an attempt."""

    status: int | None = None
    error: str | None = None
    """Why it was not received; None if it was."""
    excerpt: str | None = None
    """The beginning of the answer, not redacted yet."""
    duration_ms: int = 0
    retry_after: float = 0.0
    """Seconds that the receiver asks for."""

    @property
    def is_gone(self) -> bool:
        return self.status == GONE_STATUS


class CheckedTransport(httpx.AsyncBaseTransport):
    """Connects to the address that was checked; certificate and `Host` stay those of the name.

    Connections are not kept: one to an address must not serve another name that has the same address.
    """

    def __init__(self, *, allow_private: bool, verify: ssl.SSLContext | bool = True) -> None:
        self._allow_private = allow_private
        self._inner = httpx.AsyncHTTPTransport(
            verify=verify, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        check_url(str(request.url), allow_private=self._allow_private)
        url, name = request.url, request.url.raw_host.decode()
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await resolve(name, port, allow_private=self._allow_private)
        for place, address in enumerate(addresses, 1):
            pinned = httpx.Request(
                request.method,
                url.copy_with(host=address),
                headers=request.headers,  # with the `Host` of the name
                stream=request.stream,
                extensions={**request.extensions, "sni_hostname": name},
            )
            try:
                return await self._inner.handle_async_request(pinned)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if place == len(addresses):
                    raise
        raise AssertionError("a name that resolves has an address")

    async def aclose(self) -> None:
        await self._inner.aclose()


class WebhookSender:
    """One for a process."""

    def __init__(
        self,
        *,
        allow_private: bool,
        verify: ssl.SSLContext | bool = True,
        deadline_seconds: float,
    ) -> None:
        """deadline_seconds: for all of an attempt, from resolving the name to the last byte that is read."""
        self._deadline = deadline_seconds
        self._client = httpx.AsyncClient(
            transport=CheckedTransport(allow_private=allow_private, verify=verify),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # one project's are nobody else's
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(deadline_seconds, connect=min(CONNECT_TIMEOUT_SECONDS, deadline_seconds)),
        )

    async def __aenter__(self) -> "WebhookSender":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def send(
        self, url: str, message_id: str, payload: JsonObject, secrets: Sequence[str]
    ) -> DeliveryOutcome:
        """Send once, signed with each of the secrets; whatever happens is told in the outcome."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._deadline):
                outcome = await self._exchange(url, message_id, payload, secrets, began + self._deadline)
        except (TimeoutError, httpx.TimeoutException):
            outcome = DeliveryOutcome(error=f"There was no answer within {self._deadline:g} seconds.")
        except AddressRefused as refused:
            outcome = DeliveryOutcome(error=f"The address is not called: {refused}.")
        except httpx.ConnectError as error:
            outcome = DeliveryOutcome(error=_connect_error(error))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            outcome = DeliveryOutcome(error=f"The connection failed ({type(error).__name__}).")
        outcome.duration_ms = round((time.monotonic() - began) * 1000)
        return outcome

    async def _exchange(
        self, url: str, message_id: str, payload: JsonObject, secrets: Sequence[str], until: float
    ) -> DeliveryOutcome:
        at, body = datetime.now(UTC), orjson.dumps(payload).decode()
        signatures = [Webhook(secret).sign(message_id, at, body) for secret in secrets]
        headers = {
            "content-type": "application/json",
            "user-agent": USER_AGENT,
            "accept-encoding": "identity",  # a small answer must not unfold to a large one
            "webhook-id": message_id,
            "webhook-timestamp": str(math.floor(at.timestamp())),
            "webhook-signature": " ".join(signatures),
        }
        async with self._client.stream("POST", url, content=body.encode(), headers=headers) as response:
            excerpt = await self._read_beginning(response, until)
        outcome = DeliveryOutcome(status=response.status_code, excerpt=excerpt)
        if response.is_redirect:
            outcome.error = f"The receiver redirects ({response.status_code}), which is not followed."
        elif not response.is_success:
            outcome.error = f"The receiver answered {response.status_code}."
        if response.status_code in _MAY_NAME_A_WAIT:
            outcome.retry_after = seconds_until(response.headers.get("retry-after"), at)
        return outcome

    async def _read_beginning(self, response: httpx.Response, until: float) -> str:
        """What arrives of the answer; with the status there, a body that fails or hangs changes nothing."""
        read, left = b"", until - time.monotonic()
        try:
            async with asyncio.timeout(
                min(5.0, self._deadline / 4, left * 0.8)
            ):  # over before the attempt is
                async for chunk in response.aiter_raw():
                    read += chunk
                    if len(read) >= MAX_ANSWER_BYTES:
                        break
        except (TimeoutError, httpx.HTTPError):
            pass
        return read[:MAX_ANSWER_BYTES].decode(errors="replace")


def seconds_until(retry_after: str | None, at: datetime) -> float:
    """What `Retry-After` asks for, in seconds or as a date; 0 for nonsense."""
    if retry_after is None:
        return 0.0
    words = retry_after.strip()
    if words.isascii() and words.isdecimal():
        return float(words[:9])
    try:
        until = parsedate_to_datetime(words)
    except (ValueError, OverflowError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max(0.0, (until - at).total_seconds())


def _connect_error(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"Its certificate is not valid for it: {cause.verify_message}."
        if isinstance(cause, ssl.SSLError):
            return "No TLS connection could be made."
        if isinstance(cause, ConnectionRefusedError):
            return "The connection was refused."
        cause = cause.__cause__ or cause.__context__
    return "No connection could be made."
