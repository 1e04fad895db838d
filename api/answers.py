"""What a handler may answer, and how it becomes the bytes of a response."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import orjson
from fastapi import Response
from pydantic import BaseModel

from api.pages import Cursors, Window
from kit.errors import NotFound
from kit.wire import Page
from models.view import View

R = TypeVar("R", bound=BaseModel)
Fetch = Callable[[str, Mapping[str, object]], Awaitable[Sequence[Sequence[object]]]]


@dataclass(frozen=True, slots=True)
class One(Generic[R]):
    """The one row that `where` (columns and values) names, or 404."""

    view: View[Any, R]
    where: Mapping[str, object]

    async def render(self, fetch: Fetch) -> bytes:
        found = await fetch(self.view.select(tuple(self.where)), self.where)
        if not found:
            raise NotFound(f"{self.view.noun} not found.")
        return b'{"data":' + cast("str", found[0][0]).encode() + b"}"


@dataclass(frozen=True, slots=True)
class Many(Generic[R]):
    """One page of the rows that `where` names; a list as value means any of these."""

    view: View[Any, R]
    where: Mapping[str, object]
    window: Window = field(default_factory=Window)
    descending: bool = True
    after: Sequence[object] = ()
    """Where the list begins when there is no cursor: the key columns of the row before its first."""

    async def render(self, fetch: Fetch) -> bytes:
        view, limit = self.view, self.window.limit
        identity = [view.name, self.descending, dict(self.where)]
        parameters = {**self.where, "take": limit + 1}
        cursors = Cursors(identity, view.key_types)
        place = self.after if self.window.cursor is None else cursors.decode(self.window.cursor)
        parameters |= {f"after_{index}": value for index, value in enumerate(place)}
        many = frozenset(name for name, value in self.where.items() if isinstance(value, list))
        sql = view.page(tuple(self.where), many, bool(place), self.descending)
        found = await fetch(sql, parameters)
        rows = found[:limit]
        more = len(found) > limit
        following = cursors.encode(rows[-1][:-1]) if more else None
        texts = ",".join([cast("str", row[-1]) for row in rows])
        tail = orjson.dumps({"nextCursor": following, "hasMore": more})
        return b'{"data":[' + texts.encode() + b"]," + tail[1:]


class Unrendered(Response):
    """Carries what a handler returned past FastAPI, which would validate and write it a second time."""

    def __init__(self, answer: object, status: int) -> None:
        super().__init__(status_code=status)
        self.answer = answer

    async def render_with(self, fetch: Fetch) -> Response:
        answer = self.answer
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, One | Many):
            body = await answer.render(fetch)
        elif isinstance(answer, Page):
            body = answer.model_dump_json(by_alias=True).encode()
        elif isinstance(answer, BaseModel):
            body = b'{"data":' + answer.model_dump_json(by_alias=True).encode() + b"}"
        else:
            raise TypeError(f"A handler answered {type(answer).__name__}, which is no answer.")
        return Response(body, self.status_code, media_type="application/json", background=self.background)
