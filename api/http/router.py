"""Where operations are registered: method, path, access, and a handler whose types say all the rest."""

from collections.abc import Awaitable, Callable
from functools import wraps
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import Response
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from api.auth import Access
from api.http.responses import DeferredResponse, Item, ItemPage
from api.http.route import Route
from api.openapi.describe import Endpoint, describe
from kit.schemas import Envelope, Page

Handler = TypeVar("Handler", bound=Endpoint)
PREFIX = "/api/v1"


class Router:
    """The operations of one resource; `tag` is its heading in the API's description.

    `upstream`: they ask somebody else, who may refuse or fail.
    """

    def __init__(self, prefix: str, tag: str, *, base: str = PREFIX, upstream: bool = False) -> None:
        self._prefix, self._tag, self._upstream = base + prefix, tag, upstream
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

    def put(
        self, path: str, access: Access | None, *, name: str | None = None
    ) -> Callable[[Handler], Handler]:
        return self._add("PUT", path, access, 200, name)

    def patch(
        self, path: str, access: Access | None, *, name: str | None = None
    ) -> Callable[[Handler], Handler]:
        return self._add("PATCH", path, access, 200, name)

    def delete(
        self, path: str, access: Access | None, *, name: str | None = None
    ) -> Callable[[Handler], Handler]:
        return self._add("DELETE", path, access, 200, name)

    def _add(
        self,
        method: str,
        path: str,
        access: Access | None,
        status: int,
        name: str | None,
    ) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            shape = _response_schema(get_type_hints(handler)["return"])
            self.routes.append(
                Route(
                    self._prefix + path,
                    _defer_rendering(handler, status),
                    access,
                    upstream=self._upstream,
                    methods=[method],
                    name=name or handler.__name__,
                    operation_id=to_camel(name or handler.__name__),
                    tags=[self._tag],
                    status_code=status,
                    response_model=shape,
                    **describe(handler, method, access, upstream=self._upstream),
                )
            )
            return handler

        return add


def _response_schema(returned: Any) -> Any:
    """The wire schema of what a handler declares to return."""
    origin: Any = get_origin(returned)
    arguments: Any = get_args(returned)
    if origin in (Union, UnionType):
        return _response_schema(arguments[0])
    if origin is Item:
        return Envelope.__class_getitem__(arguments[0])
    if origin is ItemPage:
        return Page.__class_getitem__(arguments[0])
    if isinstance(returned, type) and issubclass(returned, Page):
        return returned
    if isinstance(returned, type) and issubclass(returned, BaseModel):
        return Envelope.__class_getitem__(returned)
    return None


def _defer_rendering(
    handler: Callable[..., Awaitable[object]], status: int
) -> Callable[..., Awaitable[Response]]:
    @wraps(handler)
    async def endpoint(*args: Any, **kwargs: Any) -> Response:
        return DeferredResponse(await handler(*args, **kwargs), status)

    return endpoint
