"""What a handler may answer, and how it becomes the bytes of a response."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, cast

import orjson
from fastapi import Response
from pydantic import BaseModel

from api.http.etags import etag_of
from api.http.pagination import CursorCodec, PageQuery
from kit.errors import NotFound
from kit.schemas import Page, Read, contains_secret_field
from models.json_view import CANDIDATE_IDS, JsonView

R = TypeVar("R", bound=BaseModel)
S = TypeVar("S", bound=BaseModel, covariant=True)
Fetch = Callable[[str, Mapping[str, object]], Awaitable[Sequence[Sequence[object]]]]


@dataclass(frozen=True, slots=True)
class Item(Generic[R]):
    """The one row that `where` (columns and values) names, or 404."""

    view: JsonView[Any, R]
    where: Mapping[str, object]
    trashed: bool = False
    """Also when it is in the trash."""

    async def render(self, fetch: Fetch) -> bytes:
        found = await fetch(self.view.select(tuple(self.where), self.trashed), self.where)
        if not found:
            raise NotFound(f"{self.view.noun} not found.")
        return b'{"data":' + cast("str", found[0][0]).encode() + b"}"


class PagedView(Protocol[S]):
    """What a list is read from: a view of a table, or of several."""

    @property
    def read(self) -> type[S]:
        """The wire schema of what is in it."""

    @property
    def name(self) -> str:
        """Tells its cursors from those of other lists."""

    @property
    def key_types(self) -> Sequence[object]:
        """Of the columns that order it."""

    def page(self, where: tuple[str, ...], many: frozenset[str], after: bool, descending: bool) -> str:
        """SQL of a stretch of it; see `models.json_view.JsonView.page`."""


@dataclass(frozen=True, slots=True)
class ItemPage(Generic[R]):
    """One page of the rows that `where` names; a list as value means any of these."""

    view: PagedView[R]
    where: Mapping[str, object]
    window: PageQuery = field(default_factory=PageQuery)
    descending: bool = True
    after: Sequence[object] = ()
    """Where the list begins when there is no cursor: the key columns of the row before its first."""

    def extra_fields(self) -> Mapping[str, object]:
        """What else the page holds."""
        return {}

    async def render(self, fetch: Fetch) -> bytes:
        view, limit = self.view, self.window.limit
        asked = {name: value for name, value in self.where.items() if name != CANDIDATE_IDS}
        identity = [view.name, self.descending, asked]
        parameters = {**self.where, "take": limit + 1}
        cursors = CursorCodec(identity, view.key_types)
        place = self.after if self.window.cursor is None else cursors.decode(self.window.cursor)
        parameters |= {f"after_{index}": value for index, value in enumerate(place)}
        many = frozenset(name for name, value in self.where.items() if isinstance(value, list))
        sql = view.page(tuple(self.where), many, bool(place), self.descending)
        found = await fetch(sql, parameters)
        rows = found[:limit]
        more = len(found) > limit
        following = cursors.encode(rows[-1][:-1]) if more else None
        texts = ",".join([cast("str", row[-1]) for row in rows])
        tail = orjson.dumps({"nextCursor": following, "hasMore": more, **self.extra_fields()})
        return b'{"data":[' + texts.encode() + b"]," + tail[1:]


@dataclass(frozen=True, slots=True)
class SummarizedPage(ItemPage[R]):
    """A page with more beside its data, by name; its handler declares the schema of the whole page."""

    extra: Mapping[str, BaseModel | None] = field(default_factory=dict)

    def extra_fields(self) -> Mapping[str, object]:
        return {
            name: value and value.model_dump(mode="json", by_alias=True) for name, value in self.extra.items()
        }


def render_object(answer: BaseModel) -> bytes:
    return b'{"data":' + answer.model_dump_json(by_alias=True).encode() + b"}"


class DeferredResponse(Response):
    """Carries what a handler returned past FastAPI, which would validate and write it a second time."""

    def __init__(self, answer: object, status: int) -> None:
        super().__init__(status_code=status)
        self.answer = answer

    @property
    def shows_secret(self) -> bool:
        return contains_secret_field(type(self.answer))

    @property
    def id(self) -> str | None:
        """Of the one object that it is, where that has one."""
        return self.answer.id if isinstance(self.answer, Read) else None

    async def render_with(self, fetch: Fetch) -> Response:
        answer = self.answer
        if isinstance(answer, Response):
            return answer
        if isinstance(answer, Item | ItemPage):
            body = await answer.render(fetch)
        elif isinstance(answer, Page):
            body = answer.model_dump_json(by_alias=True).encode()
        elif isinstance(answer, BaseModel):
            body = render_object(answer)
        else:
            raise TypeError(f"A handler answered {type(answer).__name__}, which is no answer.")
        headers = {"ETag": etag_of(body)} if isinstance(answer, Item | Read) else None
        return Response(body, self.status_code, headers, "application/json", self.background)
