"""A model whose requests are recorded: everything is passed on to the scripted one and its answer back."""

import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
from fastapi import FastAPI, Request, Response

from tests.support.uvicorn_server import run_app

_OF_THE_CONNECTION = {"host", "connection", "content-length", "transfer-encoding", "content-encoding"}


@dataclass
class ModelRecorder:
    address: str = ""
    bodies: list[str] = field(default_factory=list)
    """Of the requests for an answer, the oldest first."""

    def of(self, word: str) -> list[dict[str, object]]:
        """The requests that hold this word."""
        return [json.loads(body) for body in self.bodies if word in body]


@asynccontextmanager
async def recording(model: str) -> AsyncIterator[ModelRecorder]:
    """A recording of what is asked of the model at this address."""
    recorded, app = ModelRecorder(), FastAPI()

    async with httpx.AsyncClient(base_url=model, trust_env=False, timeout=120) as http:

        @app.api_route("/{path:path}", methods=["GET", "POST"])
        async def forward(path: str, request: Request) -> Response:
            body = await request.body()
            if path == "v1/messages":
                recorded.bodies.append(body.decode())
            headers = _passed_on(request.headers.items())
            answer = await http.request(request.method, f"/{path}", content=body, headers=headers)
            return Response(answer.content, answer.status_code, _passed_on(answer.headers.items()))

        async with run_app(app) as address:
            recorded.address = address
            yield recorded


def _passed_on(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {name: value for name, value in headers if name.lower() not in _OF_THE_CONNECTION}
