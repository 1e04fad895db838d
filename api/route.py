"""The walk of a request, the same for every operation.

    key → scope → idempotency → path, query and body → handler → COMMIT → engine → response

Handlers say what to answer; the envelope, the commit and every error are made here.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from api.answers import Unrendered
from api.context import Unit, api_of
from api.errors import named, respond
from api.idempotency import Claim, fingerprint
from api.keys import Access
from api.requests import StrictRequest
from kit.errors import AppError
from kit.logs import logger

log = logger(__name__)
Handle = Callable[[Request], Awaitable[Response]]
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
            request, api = StrictRequest(request.scope, request.receive), api_of(request)
            if access is None:
                return await _unrendered(await handle(request)).render_with(api.reads.fetch)
            key = await api.keys.check(request.headers.get("authorization"))
            request.scope["key"] = key
            if access.scope is not None:
                key.require(access.scope)
            if request.method != "GET":
                await request.body()  # refused for its size here, as FastAPI would call that a parsing error
            unit = request.scope["unit"] = Unit(api, key)
            idempotency_key = request.headers.get("idempotency-key")
            if idempotency_key is None or request.method not in WITH_KEY:
                return await _transact(request, unit, handle, None)
            asked = fingerprint(
                request.method, request.url.path, request.scope["query_string"], await request.body()
            )
            claim = await api.idempotency.claim(key.project_id, idempotency_key, asked)
            if isinstance(claim, Response):
                return claim
            return await _once(request, unit, handle, claim)

        return walk


async def _transact(request: Request, unit: Unit, handle: Handle, claim: Claim | None) -> Response:
    """The handler and its commit, then what it asked of the engine, then the answer."""
    api = unit.api
    try:
        answer = _unrendered(await handle(request))
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


def _unrendered(response: Response) -> Unrendered:
    if not isinstance(response, Unrendered):
        raise TypeError("An operation is registered by `api.router.Router`.")
    return response
