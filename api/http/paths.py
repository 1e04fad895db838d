"""Paths: those without parameters are found by one look-up, and each knows all methods that it has."""

from collections import defaultdict
from collections.abc import Iterable

from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from api.http.errors import WrongMethod
from api.http.route import Route


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
