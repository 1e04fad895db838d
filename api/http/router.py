"""Routing: operations are registered with method, path and access; a handler's types say all the rest.

Paths without parameters are found by one look-up, and each path knows all methods that it has.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from functools import wraps
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from fastapi import Response
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from api.auth import Access
from api.http.errors import WrongMethod
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


class ExactPaths(BaseRoute):
    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: defaultdict[str, dict[str, Route]] = defaultdict(dict)
        for route in routes:
            for method in route.methods or ():
                self._routes[route.path][method] = route

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and scope["path"] in self._routes:
            return Match.FULL, {"path_params": {}}
        return Match.NONE, {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        methods = self._routes[scope["path"]]
        route = methods.get(scope["method"])
        if route is None:
            raise WrongMethod(", ".join(sorted(methods)))
        scope["route"], scope["endpoint"] = route, route.endpoint
        await route.app(scope, receive, send)


class SharedPath(BaseRoute):
    """One path with parameters and its operations, one a method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = {method: route for route in routes for method in route.methods or ()}

    @classmethod
    def all_of(cls, routes: Iterable[Route]) -> list["SharedPath"]:
        """The paths of these operations, in the order in which they first appear."""
        by_path: defaultdict[str, list[Route]] = defaultdict(list)
        for route in routes:
            by_path[route.path].append(route)
        return [cls(shared) for shared in by_path.values()]

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http":
            return Match.NONE, {}
        known = self._routes.get(scope["method"])
        match, child = (known or next(iter(self._routes.values()))).matches(scope)
        return (Match.NONE if match is Match.NONE else Match.FULL), child

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        route = self._routes.get(scope["method"])
        if route is None:
            raise WrongMethod(", ".join(sorted(self._routes)))
        await route.handle(scope, receive, send)
