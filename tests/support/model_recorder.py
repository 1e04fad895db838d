"""The scripted model behind a recorder: a test reads the very requests that agents sent to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import orjson
from fastapi import FastAPI, Request, Response

from tests.support.uvicorn_server import run_app


@dataclass
class Recorder:
    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    """Bodies of requests for an answer, in their order."""

    def systems(self, words: str) -> list[str]:
        """The system prompts of the requests whose first message holds these words."""
        return [
            "".join(str(block["text"]) for block in cast("list[dict[str, Any]]", request["system"]))
            for request in self.requests
            if words in str(request["messages"][0])
        ]


@asynccontextmanager
async def record_model(model_url: str) -> AsyncIterator[Recorder]:
    """Pass everything on to the model at `model_url`, until the block ends."""
    recorder, app = Recorder(), FastAPI()
    async with httpx.AsyncClient(base_url=model_url, trust_env=False, timeout=60) as model:

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def pass_on(path: str, request: Request) -> Response:
            body = await request.body()
            if path == "v1/messages":
                recorder.requests.append(orjson.loads(body))
            headers = {
                name: value
                for name, value in request.headers.items()
                if name not in ("host", "content-length", "accept-encoding")
            }
            answer = await model.request(request.method, f"/{path}", content=body, headers=headers)
            kept = ("content-type", "request-id", "retry-after")
            passed = {name: value for name, value in answer.headers.items() if name in kept}
            return Response(answer.content, answer.status_code, passed)

        async with run_app(app) as url:
            recorder.url = url
            yield recorder
