"""Sends what is queued: one task for each hook, so a slow one delays no other, and each in its order."""

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlencode

import httpx

from local.forge.errors import ApiError
from local.forge.git.process import GitFailed
from local.forge.store.database import now
from local.forge.store.repositories import Store
from local.forge.webhooks import deliveries
from local.forge.webhooks.deliveries import Delivery, Outcome
from local.forge.webhooks.hooks import INSTALLATION_ID, Hook
from local.forge.webhooks.payloads import build_payload

DELIVERY_TIMEOUT_SECONDS = 10.0  # seconds for a whole delivery, as on GitHub
MAX_PREPARED_PAYLOADS = 6  # payloads made ahead for one hook
MAX_LOGGED_RESPONSE_BYTES = 64 * 1024  # bytes that the log keeps
log = logging.getLogger(__name__)


class WebhookSender:
    """The background task; `root` is the address that links in payloads start with."""

    def __init__(self, store: Store, root: str) -> None:
        self._store, self._root = store, root
        self._busy: set[int] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Delivers as long as the block lasts; what it cuts short is sent again after the next start."""
        task = asyncio.create_task(self._run())
        task.add_done_callback(log_task_error)
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def _run(self) -> None:
        """Looks at the queue whenever something was written."""
        async with (
            httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_SECONDS, trust_env=False) as careful,
            httpx.AsyncClient(timeout=DELIVERY_TIMEOUT_SECONDS, trust_env=False, verify=False) as careless,  # noqa: S501
            asyncio.TaskGroup() as group,
        ):
            clients = {"0": careful, "1": careless}
            while True:
                self._store.db.written.clear()
                for hook_id in await deliveries.hooks_with_pending_deliveries(self._store.db) - self._busy:
                    self._busy.add(hook_id)
                    group.create_task(self._serve(hook_id, clients))
                await self._store.db.written.wait()

    async def _serve(self, hook_id: int, clients: dict[str, httpx.AsyncClient]) -> None:
        """Empties one hook's queue: several payloads are made at once, and sent one after the other."""
        while due := await deliveries.pending_deliveries(self._store.db, hook_id, MAX_PREPARED_PAYLOADS):
            hook, waiting = due
            bodies = await asyncio.gather(*(self._payload(hook, delivery) for delivery in waiting))
            for delivery, body in zip(waiting, bodies, strict=True):
                outcome = payload_error(hook) if body is None else await send(clients, hook, delivery, body)
                if outcome.status != "OK":
                    log.warning(
                        "%s for hook %s (%s): %s", delivery.event, hook_id, outcome.url, outcome.status
                    )
                await deliveries.record_outcome(self._store.db, delivery, outcome)
        self._busy.discard(hook_id)
        self._store.db.written.set()  # what came between the last look and now

    async def _payload(self, hook: Hook, delivery: Delivery) -> str | None:
        """The payload, made and kept unless it was before; None when what it was to tell of is gone."""
        if delivery.payload is not None:
            return delivery.payload
        try:
            made = await build_payload(self._store, self._root, hook, delivery)
        except (ApiError, GitFailed, LookupError, ValueError):
            log.exception("no payload of %s can be made any more", delivery.event)
            return None
        text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
        await deliveries.save_payload(self._store.db, delivery, text)
        return text


async def send(clients: dict[str, httpx.AsyncClient], hook: Hook, delivery: Delivery, text: str) -> Outcome:
    """One attempt; whatever comes of it is an outcome."""
    form = hook.config["content_type"] == "form"
    body = (urlencode({"payload": text}) if form else text).encode()
    headers = headers_of(hook, delivery, body)
    url, at, start = hook.config["url"], now(), time.monotonic()
    client = clients[hook.config["insecure_ssl"]]
    code, reason, answered, answer = 502, "failed to connect to host", {}, b""
    try:
        async with (
            asyncio.timeout(DELIVERY_TIMEOUT_SECONDS),
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            code, answered = response.status_code, dict(response.headers)
            reason = "OK" if response.is_success else f"Invalid HTTP Response: {code}"
            async for chunk in response.aiter_bytes():
                answer = (answer + chunk)[:MAX_LOGGED_RESPONSE_BYTES]
    except (TimeoutError, httpx.TimeoutException):
        code, reason = 504, "timed out"
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        log.info("%s: %s", url, error)
        code, reason = 502, "failed to connect to host"
    taken = round(time.monotonic() - start, 3)
    shown = answer.decode("utf-8", "replace")
    return Outcome(at, taken, reason, code, url, json.dumps(headers), json.dumps(answered), shown)


def headers_of(hook: Hook, delivery: Delivery, body: bytes) -> dict[str, str]:
    """GitHub's headers; the signatures only with a secret."""
    form = hook.config["content_type"] == "form"
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/x-www-form-urlencoded" if form else "application/json",
        "User-Agent": "GitHub-Hookshot/f0e6e00",
        "X-GitHub-Delivery": delivery.guid,
        "X-GitHub-Event": delivery.event,
        "X-GitHub-Hook-ID": str(hook.id),
        "X-GitHub-Hook-Installation-Target-ID": str(hook.repository_id or INSTALLATION_ID),
        "X-GitHub-Hook-Installation-Target-Type": "repository" if hook.repository_id else "integration",
    }
    if secret := hook.config.get("secret"):
        for name, method in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
            headers[name] = (
                f"{method}={hmac.new(secret.encode(), body, getattr(hashlib, method)).hexdigest()}"
            )
    return headers


def payload_error(hook: Hook) -> Outcome:
    """The outcome of a delivery that has nothing to send."""
    return Outcome(now(), 0.0, "payload could not be made", 0, hook.config["url"], "{}", "{}", "")


def log_task_error(task: asyncio.Task[None]) -> None:
    """A courier that ended by itself is a fault to be seen."""
    if not task.cancelled() and task.exception():
        log.error("webhooks are not delivered any more", exc_info=task.exception())
