"""Paths without parameters, found by one look-up instead of a walk over all of them."""

from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from api.errors import OtherMethod
from api.route import Route


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
            raise OtherMethod(", ".join(sorted(methods)))
        scope["route"], scope["endpoint"] = route, route.endpoint
        await route.app(scope, receive, send)
