"""A real server in this process, for what ASGI in memory cannot show: streams."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import uvicorn
from fastapi import FastAPI

from local.stack.ports import free_ports


@asynccontextmanager
async def run_app(app: FastAPI) -> AsyncIterator[str]:
    """Serve an application that has started already; its address."""
    port = free_ports(1)[0]
    config = uvicorn.Config(
        app, port=port, lifespan="off", access_log=False, log_config=None, timeout_graceful_shutdown=5
    )
    server = uvicorn.Server(config)
    server.capture_signals = nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task
