"""The walk of a request, the same for every operation.

    key → rate limit → scope → idempotency → path, query and body → handler → COMMIT → engine → response

Handlers say what to answer; the envelope, the commit and every error are made here.
"""

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from sqlalchemy.exc import SQLAlchemyError

from api.auth import Access, AuthenticatedKey
from api.http.errors import error_response, to_app_error
from api.http.etags import not_modified
from api.http.idempotency import Claim, request_fingerprint
from api.http.request import StrictRequest
from api.http.responses import DeferredResponse
from api.state import AppState, UnitOfWork, app_state_of
from kit.errors import AppError, Invalid
from kit.logs import logger

log = logger(__name__)
Handle = Callable[[Request], Awaitable[Response]]
IDEMPOTENT_METHODS = ("POST", "PATCH")
"""Methods on which an `Idempotency-Key` counts."""
IF_MATCH_UNSUPPORTED = (
    "If-Match: this operation does not depend on the state of one object; leave the header out."
)


class Route(APIRoute):
    """An operation; `access` None: it needs no key, `upstream`: it has effects before the commit."""

    def __init__(
        self,
        path: str,
        endpoint: Callable[..., Any],
        access: Access | None,
        *,
        upstream: bool,
        **options: Any,
    ) -> None:
        self.access, self.upstream = access, upstream
        super().__init__(path, endpoint, **options)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, access = super().get_route_handler(), self.access

        async def walk(request: Request) -> Response:
            request, api = StrictRequest(request.scope, request.receive), app_state_of(request)
            if access is None:
                if request.method != "GET":  # those are probes, and the description: answered at any rate
                    await api.rate_limits.charge_address(request.scope)
                return await _deferred_response(await handle(request)).render_with(api.read_pool.fetch)
            key = await _authenticate(request, api)
            key.require(access)
            _refuse_nul(request)
            if request.method != "GET":
                await request.body()  # refused for its size here, as FastAPI would call that a parsing error
            unit = request.scope["unit"] = UnitOfWork(api, key, if_match=request.headers.get("if-match"))
            if self.upstream and unit.ignores_if_match and request.method != "GET":
                raise Invalid(IF_MATCH_UNSUPPORTED, field="If-Match")
            idempotency_key = request.headers.get("idempotency-key")
            if idempotency_key is None or request.method not in IDEMPOTENT_METHODS:
                return not_modified(request, await _transact(request, unit, handle, None))
            query, body = request.scope["query_string"], await request.body()
            asked = request_fingerprint(request.method, request.url.path, query, body)
            claim = await api.idempotency.claim(key.project_id, key.id, idempotency_key, asked)
            if isinstance(claim, Response):
                return claim
            return await _run_idempotently(request, unit, handle, claim)

        return walk


async def _authenticate(request: Request, api: AppState) -> AuthenticatedKey:
    """The key of a request, which is counted to it; to its address as long as no valid key is known.

    Raises AuthMissing, AuthInvalid or RateLimited.
    """
    authorization, limits = request.headers.get("authorization"), api.rate_limits
    is_stranger = not api.keys.is_known(authorization)
    if is_stranger:
        await limits.charge_address(request.scope)
    key = request.scope["key"] = await api.keys.authenticate(authorization)
    if is_stranger:
        limits.refund_address(request.scope)
    await limits.charge_key(request.scope, key.id)
    return key


async def _transact(request: Request, unit: UnitOfWork, handle: Handle, claim: Claim | None) -> Response:
    """The handler and its commit, then what it asked of the engine, then the answer."""
    api = unit.api
    try:
        answer = _deferred_response(await handle(request))
        if unit.ignores_if_match and request.method != "GET":
            raise Invalid(IF_MATCH_UNSUPPORTED, field="If-Match")
        response = None if unit.has_commands else await answer.render_with(unit.fetch)
        if claim and response:
            await _store_response(unit, claim, answer, response)
        await unit.commit()
    finally:
        await unit.close()
    changed = await unit.run_after_commit()
    if response is None or changed:
        response = await answer.render_with(unit.read_pool.fetch)
    if claim and unit.after_commit and not answer.shows_secret:
        await api.idempotency.store_separately(claim, response)
    return response


async def _store_response(
    unit: UnitOfWork, claim: Claim, answer: DeferredResponse, response: Response
) -> None:
    """Store the answer with what it tells of; of a secret no copy is kept."""
    idempotency = unit.api.idempotency
    if answer.shows_secret:
        await idempotency.store_without_answer(unit.session, claim, response.status_code, answer.id)
    else:
        await idempotency.store(unit.session, claim, response, provisional=bool(unit.after_commit))


async def _run_idempotently(request: Request, unit: UnitOfWork, handle: Handle, claim: Claim) -> Response:
    """The same under a claim: what is refused for good is remembered too, what may be tried again is not."""
    idempotency, unit.claim = unit.api.idempotency, claim
    try:
        return await _transact(request, unit, handle, claim)
    except Exception as failure:
        error = to_app_error(failure)
        try:
            if error is not None and not error.retryable:
                response = error_response(request.scope, error)
                await idempotency.store_separately(claim, response)
                return response
            await idempotency.release(claim)
        except (SQLAlchemyError, AppError) as lost:
            log.warning("claim left to grow old", reason=type(lost).__name__)
        raise


def _refuse_nul(request: Request) -> None:
    """PostgreSQL's text cannot hold the character NUL: no row can match it."""
    if b"%00" not in request.scope["query_string"]:
        return
    for name, value in request.query_params.multi_items():
        if "\0" in name + value:
            raise Invalid("The character NUL is not allowed in a query.", field=name.replace("\0", ""))


def _deferred_response(response: Response) -> DeferredResponse:
    if not isinstance(response, DeferredResponse):
        raise TypeError("An operation is registered by `api.http.router.Router`.")
    return response
