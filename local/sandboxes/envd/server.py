"""envd from its configuration on: lower the limits, open the relays, serve on the inherited socket."""

import asyncio
import gc
import hmac
import json
import os
import resource
import socket
import sys

import uvicorn
from e2b.envd.filesystem.filesystem_connect import FilesystemASGIApplication
from e2b.envd.process.process_connect import ProcessASGIApplication
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local.sandboxes.envd.config import EnvdConfig
from local.sandboxes.envd.files import download, upload
from local.sandboxes.envd.filesystem import FilesystemService
from local.sandboxes.envd.preview import PreviewProxy
from local.sandboxes.envd.process import ProcessService
from local.sandboxes.envd.relay import open_relays

# Processes are counted in the sandbox's user namespace, the rest for each process: whoever serves the sandbox
# watches over its memory and files as a whole.
_LIMITS = {resource.RLIMIT_NPROC: 2048, resource.RLIMIT_NOFILE: 65536, resource.RLIMIT_CORE: 0}
_NICENESS = 19  # agents' commands get what the services of the stack leave


class AccessTokenMiddleware:
    """Lets through the requests that carry the access token, and the question whether envd is alive."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(scope["headers"]).get(b"x-access-token", b"")
        is_health = scope["path"] == "/health" and b"x-preview-port" not in dict(scope["headers"])
        if is_health or hmac.compare_digest(given, self._token):
            await self._app(scope, receive, send)
            return
        refusal = {"code": "unauthenticated", "message": "the header X-Access-Token is missing or wrong"}
        await JSONResponse(refusal, 401)(scope, receive, send)


async def health(request: Request) -> Response:
    return Response(status_code=204)


async def serve(config: EnvdConfig) -> None:
    proxy = await open_relays(config.egress_socket, config.relays)
    processes = ProcessASGIApplication(ProcessService({**config.base_envs, **proxy, **config.envs}))
    filesystem = FilesystemASGIApplication(FilesystemService())
    routes = Starlette(
        routes=[
            Route("/health", health),
            Route("/files", download, methods=["GET"]),
            Route("/files", upload, methods=["POST"]),
            Mount(processes.path, processes),
            Mount(filesystem.path, filesystem),
        ]
    )
    settings = uvicorn.Config(
        AccessTokenMiddleware(PreviewProxy(routes), config.access_token),
        loop="asyncio",
        lifespan="off",
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=3600,  # the gateway closes first: it never writes into a connection just closed
    )
    await uvicorn.Server(settings).serve(sockets=[socket.socket(fileno=config.listener)])


def main() -> None:
    """Serve until the end, by the configuration on standard input."""
    gc.freeze()
    gc.enable()
    config = EnvdConfig(**json.load(sys.stdin))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sizes = {resource.RLIMIT_DATA: config.memory_bytes, resource.RLIMIT_FSIZE: config.file_bytes}
    for limit, value in {**_LIMITS, **sizes}.items():
        hard = resource.getrlimit(limit)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))
    os.nice(_NICENESS)
    asyncio.run(serve(config))
