"""The rows of one table that the key's project may see: what handlers ask for instead of writing queries."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Path, Request
from pydantic import BaseModel
from sqlmodel import col, select

from api.http.etags import require_match
from api.http.filters import SearchQuery, like_pattern
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.state import UnitOfWork, unit_of_work_of
from kit.errors import NotFound
from kit.ids import is_id
from models.base import Table
from models.json_view import JsonView

T = TypeVar("T", bound=Table)
R = TypeVar("R", bound=BaseModel)
MAX_CANDIDATES = 500
"""Names that match a search: so many are looked up by their ids, more are met soon enough in the list."""


class ProjectRows(Generic[T, R]):
    """Never another project's, never the trashed; an id of another kind is unknown like any other."""

    def __init__(self, view: JsonView[T, R], unit: UnitOfWork) -> None:
        self.view, self.unit = view, unit
        self._project: dict[str, object] = {"project_id": unit.key.project_id}
        """Comes last wherever it is joined with what a client may have named."""

    def item(self, id: str) -> Item[R]:
        """Answer with the object of this id, or 404."""
        return Item(self.view, {"id": self._require_id(id), **self._project})

    def item_in_trash(self, id: str) -> Item[R]:
        """Answer with the object of this id, although it was just put into the trash, or deleted for good."""
        return Item(self.view, {"id": id, **self._project}, trashed=True)

    def get_by(self, **where: object) -> Item[R]:
        """Answer with the one object that matches, or 404."""
        return Item(self.view, {**where, **self._project})

    def page(self, window: PageQuery, *, descending: bool = True, **where: object) -> ItemPage[R]:
        """Answer with a page of those that match `where` and the window's filters, newest first."""
        return ItemPage(self.view, {**where, **window.filters(), **self._project}, window, descending)

    async def search(self, window: SearchQuery) -> ItemPage[R]:
        """As `page`; names that contain what is searched for are found by an index where they are few.

        Where they are many, the page is full before much was read.
        """
        if window.search is None:
            return self.page(window)
        sql = f"SELECT {self.view.name}s_named_like(%(pattern)s, %(most)s)"
        asked = {"pattern": like_pattern(window.search), "most": MAX_CANDIDATES + 1}
        ids = [id for [id] in await self.unit.fetch(sql, asked)]  # noqa: A001
        return self.page(window, among=ids) if len(ids) <= MAX_CANDIDATES else self.page(window)

    async def get(self, id: str, *, lock: bool = False, trashed: bool | None = False) -> T:
        """The row itself, to change it; `lock` keeps others from changing it before the commit.

        Whoever locks a row is about to change it, so that `If-Match` is looked at: PreconditionFailed.
        trashed: None finds it in the trash, too; what is deleted for good, nobody finds.
        """
        columns: Any = self.view.table
        statement = select(self.view.table).where(
            col(columns.id) == self._require_id(id), col(columns.project_id) == self.unit.key.project_id
        )
        if "deleted_at" in self.view.columns and trashed is False:
            statement = statement.where(col(columns.deleted_at).is_(None))
        if "purged_at" in self.view.columns:
            statement = statement.where(col(columns.purged_at).is_(None))
        if lock:
            statement = statement.with_for_update()
        row = (await self.unit.session.exec(statement)).one_or_none()
        if row is None:
            raise NotFound(f"{self.view.noun} not found.")
        if lock and self.unit.if_match is not None:
            shown = self.item(id) if trashed is False else self.item_in_trash(id)
            require_match(self.unit.if_match, await shown.render(self.unit.fetch))
        return row

    async def get_many(self, ids: Collection[str]) -> Sequence[T]:
        """The rows of these ids that there are, to change them; others are passed over."""
        columns: Any = self.view.table
        statement = select(self.view.table).where(
            col(columns.id).in_(ids), col(columns.project_id) == self.unit.key.project_id
        )
        if "deleted_at" in self.view.columns:
            statement = statement.where(col(columns.deleted_at).is_(None))
        return (await self.unit.session.exec(statement.order_by(col(columns.id)).with_for_update())).all()

    def add(self, **fields: object) -> T:
        """A new row of this project."""
        row = self.view.table(**{**fields, **self._project})
        self.unit.session.add(row)
        return row

    def _require_id(self, id: str) -> str:
        if self.view.prefix is None or not is_id(id, self.view.prefix):
            raise NotFound(f"{self.view.noun} not found.")
        return id


def project_rows(view: JsonView[T, R]) -> Any:
    """A dependency: the project's rows of this view."""
    _require_project(view)

    async def provide(request: Request) -> ProjectRows[T, R]:
        return ProjectRows(view, unit_of_work_of(request))

    return Depends(provide)


def path_row(view: JsonView[T, R], *, lock: bool = False) -> Any:
    """A dependency: the row named by `{id}` in the path, or 404."""
    _require_project(view)

    async def provide(id: Annotated[str, Path()], request: Request) -> T:
        return await ProjectRows(view, unit_of_work_of(request)).get(id, lock=lock)

    return Depends(provide)


def _require_project(view: JsonView[T, R]) -> None:
    """Raises TypeError, when the operation is imported, for a view whose rows name no project."""
    if "project_id" not in view.columns:
        raise TypeError(
            f"{view.name} has no project_id: find the row that it belongs to, then answer with an Item"
        )
