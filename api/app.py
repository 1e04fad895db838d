"""The front door: every operation under one roof, and what they need opened and closed around them."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import auth as api_keys
from api.auth import KeyCache
from api.http import access_log
from api.http.errors import error_response, log_error, to_app_error
from api.http.idempotency import IdempotencyStore
from api.http.middleware import RequestMiddleware
from api.http.rate_limits import RateLimits
from api.http.router import ExactPaths, SharedPath
from api.openapi.export import ALL_ROUTES
from api.realtime.event_stream import StreamRegistry
from api.realtime.listener import Listener
from api.realtime.stream_waker import StreamWaker
from api.state import AppState
from api.temporal import TemporalGateway
from gateways.github.access import GitHubAccess
from kit.crypto import Vault
from kit.database import Database
from kit.errors import AppError, Internal
from kit.logs import configure
from kit.redaction import RedactorCache
from kit.settings import Settings
from kit.settings import settings as from_environment
from kit.sql_pool import SqlPool
from kit.tenancy import EVERY_PROJECT, DatabaseRole


def create_app(settings: Settings | None = None) -> FastAPI:
    """Settings come from the environment unless given.  Nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.api = api = open_api(settings or _process_settings())
        with on_stop_signal(api.events.close):
            try:
                yield
            finally:
                await close_api(api)

    app = FastAPI(
        title="CodeCourier",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    exact = [route for route in ALL_ROUTES if "{" not in route.path]
    app.router.routes.append(ExactPaths(exact))
    app.router.routes.extend(SharedPath.all_of(route for route in ALL_ROUTES if "{" in route.path))
    for kind in (AppError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _handle_error)
    app.add_middleware(RequestMiddleware)
    return app


def open_api(settings: Settings) -> AppState:
    """Everything a process holds; connections are made when first needed, so it starts without them."""
    conninfo = settings.sqlalchemy_url.replace("+psycopg", "", 1)
    role = DatabaseRole.api
    database = Database(settings.sqlalchemy_url, role=role, pool_size=settings.database_pool_size)
    vault = Vault(settings.encryption_keys.get_secret_value())
    reads = SqlPool(
        conninfo, settings.database_pool_size, name="codecourier-api-reads", role=role, read_only=True
    )
    keys = KeyCache(reads.for_project(EVERY_PROJECT), database.for_project(EVERY_PROJECT))
    events, listener = StreamRegistry(), Listener(conninfo)
    waker = StreamWaker(events, reads.for_project(EVERY_PROJECT))
    waker.start()
    listener.subscribe(
        api_keys.CHANNEL, keys.clear, lost=keys.listener_lost, confirmed=keys.listener_confirmed
    )
    listener.start()
    return AppState(
        settings=settings,
        database=database,
        read_pool=reads,
        listener=listener,
        keys=keys,
        rate_limits=RateLimits(
            database.for_project(EVERY_PROJECT),
            per_key=settings.rate_limit_per_key,
            per_address=settings.rate_limit_per_address,
            streams=settings.streams_per_project,
        ),
        events=events,
        stream_waker=waker,
        temporal=TemporalGateway(settings, database),
        vault=vault,
        github_access=GitHubAccess(settings, database),
        redactors=RedactorCache(),
        idempotency=IdempotencyStore(database, vault),
    )


async def close_api(api: AppState) -> None:
    api.events.close()
    await api.listener.close()
    await api.stream_waker.close()
    await api.read_pool.close()
    await api.database.close()


def _process_settings() -> Settings:
    """Settings of a process that is the API and nothing else, so its logs are ours too."""
    settings = from_environment()
    configure(settings.log_level, settings.log_format, settings.secret_values())
    if settings.log_format == "json":
        access_log.configure(settings.secret_values())
    return settings


@contextmanager
def on_stop_signal(act: Callable[[], None]) -> Iterator[None]:
    """Also `act` when the server is told to stop: it waits for streams, which must be told to end."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    theirs = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)
        server = theirs[signal.Signals(number)]
        if callable(server):
            server(number, frame)

    for number, server in theirs.items():
        if callable(server):
            signal.signal(number, stop)
    try:
        yield
    finally:
        for number, server in theirs.items():
            signal.signal(number, server)


async def _handle_error(request: Request, failure: Exception) -> Response:
    error = to_app_error(failure)
    log_error(failure, error)
    return error_response(request.scope, error or Internal("A bug."))
