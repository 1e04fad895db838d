"""One router and one walk of a request, for every operation.

    key → scope → idempotency → path, query and body → handler → answer → COMMIT → engine → response

Handlers return an answer (`One`, `Many`, a wire object); the envelope, the commit and every error are made
here.
"""

from collections.abc import Awaitable, Callable, Coroutine
from functools import wraps
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from sqlalchemy.exc import SQLAlchemyError

from api.answers import Many, One, Unrendered
from api.context import Unit, api_of
from api.description import Endpoint, describe
from api.errors import named, respond
from api.idempotency import Claim, fingerprint
from api.keys import Access
from api.requests import StrictRequest
from kit.errors import AppError
from kit.logs import logger
from kit.wire import Envelope, Page

log = logger(__name__)
Handler = TypeVar("Handler", bound=Endpoint)
PREFIX = "/api/v1"
WITH_KEY = ("POST", "PATCH")
"""Methods on which an `Idempotency-Key` counts."""


class Route(APIRoute):
    """An operation; `access` None: it needs no key."""

    def __init__(
        self, path: str, endpoint: Callable[..., Any], access: Access | None, **options: Any
    ) -> None:
        self.access = access
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, access = super().get_route_handler(), self.access

        async def walk(request: Request) -> Response:
            request = StrictRequest(request.scope, request.receive)
            if access is None:
                return await _bare(await handle(request))
            api = api_of(request)
            key = await api.keys.check(request.headers.get("authorization"))
            request.scope["key"] = key
            if access.scope is not None:
                key.require(access.scope)
            if request.method != "GET":
                await request.body()  # refused for its size here, as FastAPI would call that a parsing error
            unit = Unit(api, key)
            request.scope["unit"] = unit
            idempotency_key = request.headers.get("idempotency-key")
            if idempotency_key is None or request.method not in WITH_KEY:
                return await _transact(request, unit, handle, None)
            body = await request.body()
            asked = fingerprint(request.method, request.url.path, request.scope["query_string"], body)
            claim = await api.idempotency.claim(key.project_id, idempotency_key, asked)
            if isinstance(claim, Response):
                return claim
            return await _once(request, unit, handle, claim)

        return walk


Handle = Callable[[Request], Awaitable[Response]]


async def _bare(response: Response) -> Response:
    if not isinstance(response, Unrendered):
        return response

    async def nothing(*_: object) -> list[list[object]]:
        raise TypeError("A public operation has no rows to answer with.")

    return await response.render_with(nothing)


async def _transact(request: Request, unit: Unit, handle: Handle, claim: Claim | None) -> Response:
    """The handler and its commit, then what it asked of the engine, then the answer."""
    api = unit.api
    try:
        answer = await handle(request)
        if not isinstance(answer, Unrendered):
            return answer
        response = None if unit.commands else await answer.render_with(unit.fetch)
        if claim and response:
            provisional = bool(unit.after)
            await api.idempotency.store(unit.session, claim, response, provisional=provisional)
        await unit.commit()
    finally:
        await unit.close()
    changed = await unit.follow_up()
    if response is None or changed:
        response = await answer.render_with(api.reads.fetch)
    if claim and unit.after:
        await api.idempotency.keep(claim, response)
    return response


async def _once(request: Request, unit: Unit, handle: Handle, claim: Claim) -> Response:
    """The same under a claim: what is refused for good is remembered too, what may be tried again is not."""
    idempotency = unit.api.idempotency
    try:
        return await _transact(request, unit, handle, claim)
    except Exception as failure:
        error = named(failure)
        try:
            if error is not None and not error.retryable:
                response = respond(request.scope, error)
                await idempotency.keep(claim, response)
                return response
            await idempotency.release(claim)
        except (SQLAlchemyError, AppError) as lost:
            log.warning("claim left to grow old", reason=type(lost).__name__)
        raise


class Router:
    """The operations of one resource; `tag` is its heading in the API's description."""

    def __init__(self, prefix: str, tag: str, *, base: str = PREFIX) -> None:
        self._prefix, self._tag = base + prefix, tag
        self.routes: list[Route] = []

    def get(
        self, path: str, access: Access | None, *, name: str | None = None
    ) -> Callable[[Handler], Handler]:
        return self._add("GET", path, access, 200, name)

    def post(
        self,
        path: str,
        access: Access | None,
        *,
        creates: bool = False,
        name: str | None = None,
    ) -> Callable[[Handler], Handler]:
        """`creates`: answers 201."""
        return self._add("POST", path, access, 201 if creates else 200, name)

    def _add(
        self,
        method: str,
        path: str,
        access: Access | None,
        status: int,
        name: str | None,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            shape = _shape(get_type_hints(handler)["return"])
            self.routes.append(
                Route(
                    self._prefix + path,
                    _unrendered(handler, status),
                    access,
                    methods=[method],
                    name=name or handler.__name__,
                    operation_id=to_camel(name or handler.__name__),
                    tags=[self._tag],
                    status_code=status,
                    response_model=shape,
                    **describe(handler, method, access),
                )
            )
            return handler

        return add


def _shape(returned: Any) -> Any:
    """The wire schema of what a handler declares to return."""
    origin: Any = get_origin(returned)
    arguments: Any = get_args(returned)
    if origin in (Union, UnionType):
        return _shape(arguments[0])
    if origin is One:
        return Envelope.__class_getitem__(arguments[0])
    if origin is Many:
        return Page.__class_getitem__(arguments[0])
    if isinstance(returned, type) and issubclass(returned, BaseModel):
        return Envelope.__class_getitem__(returned)
    return None


def _unrendered(handler: Callable[..., Awaitable[object]], status: int) -> Callable[..., Awaitable[Response]]:

    @wraps(handler)
    async def endpoint(*args: Any, **kwargs: Any) -> Response:
        return Unrendered(await handler(*args, **kwargs), status)

    return endpoint
