"""Webhooks, in the demo: events are received by a small server and verified by another library."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from svix.webhooks import Webhook, WebhookVerificationError

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed

Delivery = tuple[bytes, dict[str, str]]
DELIVERY_TIMEOUT_SECONDS = 30.0


async def receive(stage: DemoContext) -> None:
    deliveries: asyncio.Queue[Delivery] = asyncio.Queue()
    async with _receiver(deliveries) as url:
        endpoint = await stage.post("/webhooks/endpoints", {"url": url, "events": ["run.*"]})
        stage.print_line("endpoint", url)
        await stage.post(f"/webhooks/endpoints/{endpoint['id']}/test", {})
        try:
            async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
                body, headers = await deliveries.get()
            Webhook(str(endpoint["secret"])).verify(body, headers)
        except (TimeoutError, WebhookVerificationError) as error:
            raise DemoFailed(f"The webhook was not received as it should be: {error!r}") from error
        finally:
            await stage.client.delete(f"/webhooks/endpoints/{endpoint['id']}")
    event: Json = json.loads(body)
    stage.print_line("received", f"{event['type']}, webhook-id {headers['webhook-id']}", "green")
    stage.print_result("Verified", "by the library svix, with the endpoint's secret")


@asynccontextmanager
async def _receiver(deliveries: asyncio.Queue[Delivery]) -> AsyncIterator[str]:
    """An HTTP server that takes every request and answers 204; its address."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.split(": ", 1) for line in head[1:] if ": " in line)
        headers = {name.lower(): value for name, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        deliveries.put_nowait((body, headers))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}/"
