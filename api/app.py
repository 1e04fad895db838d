"""The front door: every operation under one roof, and what they need opened and closed around them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import keys as api_keys
from api.context import Api
from api.engine import Engine
from api.errors import named, respond
from api.events import Events
from api.front import Front
from api.idempotency import Idempotency
from api.keys import Keys
from api.listener import Listener
from api.openapi import EVERY_ROUTE
from api.paths import ExactPaths
from api.reads import Reads
from kit.crypto import Vault
from kit.database import Database
from kit.errors import AppError, Internal
from kit.settings import Settings
from kit.settings import settings as from_environment
from models import event


def create_app(settings: Settings | None = None) -> FastAPI:
    """Settings come from the environment unless given.  Nothing is opened before it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.api = api = open_api(settings or from_environment())
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
    exact = [route for route in EVERY_ROUTE if "{" not in route.path]
    app.router.routes.append(ExactPaths(exact))
    app.router.routes.extend(route for route in EVERY_ROUTE if "{" in route.path)
    for kind in (AppError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _failed)
    app.add_middleware(Front)
    return app


def open_api(settings: Settings) -> Api:
    """Everything a process holds; connections are made when first needed, so it starts without them."""
    conninfo = settings.sqlalchemy_url.replace("+psycopg", "", 1)
    database = Database(settings.sqlalchemy_url, pool_size=settings.database_pool_size)
    vault = Vault(settings.encryption_keys.get_secret_value())
    keys, events, listener = Keys(database), Events(), Listener(conninfo)
    listener.on(api_keys.CHANNEL, keys.forget, found=keys.trust, lost=keys.distrust)
    listener.on(event.CHANNEL, events.wake, found=events.wake_all)
    listener.start()
    return Api(
        settings=settings,
        database=database,
        reads=Reads(conninfo, settings.database_pool_size),
        listener=listener,
        keys=keys,
        events=events,
        engine=Engine(settings),
        vault=vault,
        idempotency=Idempotency(database, vault),
    )


async def close_api(api: Api) -> None:
    api.events.close()
    await api.listener.close()
    await api.reads.close()
    await api.database.close()


async def _failed(request: Request, failure: Exception) -> Response:
    return respond(request.scope, named(failure) or Internal("A bug."))
