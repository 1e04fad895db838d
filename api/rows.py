"""The rows of one table that the key's project may see: what handlers ask for instead of writing queries."""

from collections.abc import Collection, Sequence
from typing import Annotated, Any, Generic, TypeVar

from fastapi import Depends, Path, Request
from pydantic import BaseModel
from sqlmodel import col, select

from api.answers import Many, One
from api.context import Unit, unit_of
from api.pages import Window
from kit.errors import NotFound
from kit.ids import is_id
from models.base import Table
from models.view import View

T = TypeVar("T", bound=Table)
R = TypeVar("R", bound=BaseModel)


class Rows(Generic[T, R]):
    """Never another project's, never the trashed; an id of another kind is unknown like any other."""

    def __init__(self, view: View[T, R], unit: Unit) -> None:
        self.view, self.unit = view, unit
        self._project: dict[str, object] = (
            {"project_id": unit.key.project_id} if "project_id" in view.columns else {}
        )

    def one(self, id: str) -> One[R]:
        """Answer with the object of this id, or 404."""
        return One(self.view, {**self._project, "id": self._known(id)})

    def the(self, **where: object) -> One[R]:
        """Answer with the one object that matches, or 404."""
        return One(self.view, {**self._project, **where})

    def page(self, window: Window, *, descending: bool = True, **where: object) -> Many[R]:
        """Answer with a page of those that match `where` and the window's filters, newest first."""
        return Many(self.view, {**self._project, **where, **window.filters()}, window, descending)

    async def get(self, id: str, *, lock: bool = False, trashed: bool | None = False) -> T:
        """The row itself, to change it; `lock` keeps others from changing it before the commit.

        trashed: None finds it in the trash, too.
        """
        columns: Any = self.view.table
        statement = select(self.view.table).where(
            col(columns.id) == self._known(id), col(columns.project_id) == self.unit.key.project_id
        )
        if "deleted_at" in self.view.columns and trashed is False:
            statement = statement.where(col(columns.deleted_at).is_(None))
        if lock:
            statement = statement.with_for_update()
        row = (await self.unit.session.exec(statement)).one_or_none()
        if row is None:
            raise NotFound(f"{self.view.noun} not found.")
        return row

    async def those(self, ids: Collection[str]) -> Sequence[T]:
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
        row = self.view.table(**self._project, **fields)
        self.unit.session.add(row)
        return row

    def _known(self, id: str) -> str:
        if self.view.prefix is None or not is_id(id, self.view.prefix):
            raise NotFound(f"{self.view.noun} not found.")
        return id


def rows(view: View[T, R]) -> Any:
    """A dependency: the project's rows of this view."""

    async def provide(request: Request) -> Rows[T, R]:
        return Rows(view, unit_of(request))

    return Depends(provide)


def found(view: View[T, R], *, lock: bool = False) -> Any:
    """A dependency: the row named by `{id}` in the path, or 404."""

    async def provide(id: Annotated[str, Path()], request: Request) -> T:
        return await Rows(view, unit_of(request)).get(id, lock=lock)

    return Depends(provide)
