"""A client of the API, as anybody would write it: the demo uses nothing that others cannot."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self, cast

import httpx
from pydantic import JsonValue

Json = dict[str, JsonValue]
MAX_RECONNECTIONS = 30


class ApiError(Exception):
    """The API said no; the message is its own."""


class Client:
    def __init__(self, url: str, key: str) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.AsyncClient(
            base_url=f"{url}/api/v1", headers=headers, timeout=httpx.Timeout(30, read=60), trust_env=False
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str) -> JsonValue:
        """The `data` of an answer.  Raises `ApiError`."""
        return _data(await self._http.get(path, params=query))

    async def post(self, path: str, body: Json) -> JsonValue:
        return _data(await self._http.post(path, json=body))

    async def put(self, path: str, body: Json) -> JsonValue:
        return _data(await self._http.put(path, json=body))

    async def delete(self, path: str) -> JsonValue:
        return _data(await self._http.delete(path))

    async def list_all(self, path: str, **query: str) -> list[Json]:
        """Every item of a list, page after page."""
        items: list[Json] = []
        while True:
            answer = await self._http.get(path, params={**query, "limit": "100"})
            items += cast("list[Json]", _data(answer))
            cursor = answer.json()["nextCursor"]
            if cursor is None:
                return items
            query["cursor"] = cursor

    async def follow(self, run_id: str) -> AsyncIterator[Json]:
        """The events of a run until its last one; a broken stream is taken up where it broke."""
        last, failures = 0, 0
        while True:
            try:
                async for event in self._stream(run_id, last):
                    last, failures = cast("int", event["seq"]), 0
                    yield event
                    if event["type"] in ("run.completed", "run.failed", "run.cancelled"):
                        return
            except httpx.TransportError:
                failures += 1
                if failures > MAX_RECONNECTIONS:
                    raise
                await asyncio.sleep(1)

    async def _stream(self, run_id: str, after: int) -> AsyncIterator[Json]:
        headers = {"Accept": "text/event-stream", "Last-Event-ID": str(after)}
        async with self._http.stream("GET", f"/runs/{run_id}/events", headers=headers) as answer:
            if answer.is_error:
                await answer.aread()
                _data(answer)
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def _data(answer: httpx.Response) -> JsonValue:
    if answer.is_error:
        try:
            words = answer.json()["error"]["message"]
        except (ValueError, KeyError, TypeError):
            words = answer.text[:300]
        raise ApiError(f"{answer.request.method} {answer.request.url.path}: {answer.status_code}: {words}")
    return cast("JsonValue", answer.json()["data"])
