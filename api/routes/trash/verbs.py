"""The trash verbs of a resource: the same for every kind, so each resource only says which it has."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel

from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.trash.moves import TrashDep
from models.issues.issue_schemas import DeletedCount
from models.json_view import JsonView
from models.trash.kinds import TrashKind
from models.trash.reference_schemas import Ref, Refs
from models.trash.trashable import Trashable

T = TypeVar("T", bound=Trashable)
R = TypeVar("R", bound=BaseModel)


@dataclass(frozen=True)
class TrashVerbs(Generic[T, R]):
    """Adds the verbs of one kind to its resource's router; a `note` ends the description."""

    router: Router
    kind: TrashKind[T]
    view: JsonView[T, R]
    ref: type[BaseModel]
    """The body that names one: a `Ref`."""

    def delete(self, note: str) -> None:
        async def delete(body: Ref, found: ProjectRows[T, R], trash: TrashDep) -> Item[R]:
            row = await found.get(body.id, lock=True)
            await trash.trash(self.kind, row)
            return found.item_in_trash(row.id)

        what = f"Move {self._one} to the trash, from where it can be restored until it expires."
        self._add("/delete", delete, f"delete_{self._name}", f"{what}\n\n{note}")

    def restore(self) -> None:
        async def restore(body: Ref, found: ProjectRows[T, R], trash: TrashDep) -> Item[R]:
            row = await found.get(body.id, lock=True, trashed=None)
            await trash.restore(self.kind, row)
            return found.item(row.id)

        what = f"Bring {self._one} back from the trash."
        self._add("/restore", restore, f"restore_{self._name}", what, deletes=False)

    def permanent_delete(self, note: str) -> None:
        async def permanent_delete(body: Ref, found: ProjectRows[T, R], trash: TrashDep) -> Item[R]:
            row = await found.get(body.id, lock=True, trashed=None)
            await trash.purge(self.kind, row)
            return found.item_in_trash(row.id)

        what = f"Delete {self._one} for good, from the trash or not."
        rest = f"Nobody sees it from now on, and it cannot be restored. {note}"
        self._add(
            "/permanent-delete", permanent_delete, f"permanently_delete_{self._name}", f"{what}\n\n{rest}"
        )

    def bulk_delete(self, refs: type[BaseModel], note: str) -> None:
        """`refs`: the body that names several, a `Refs`."""

        async def bulk_delete(body: Refs, found: ProjectRows[T, R], trash: TrashDep) -> DeletedCount:
            there = await found.get_many(body.ids)
            for row in there:
                await trash.trash(self.kind, row)
            return DeletedCount(count=len(there))

        what = f"Move several {self.kind.noun}s to the trash: those that there are, or none at all."
        self._add("/bulk-delete", bulk_delete, f"bulk_delete_{self._name}s", f"{what}\n\n{note}", body=refs)

    @property
    def _name(self) -> str:
        return self.kind.noun.replace(" ", "_")

    @property
    def _one(self) -> str:
        return f"{'an' if self.kind.noun[0] in 'aeio' else 'a'} {self.kind.noun}"

    def _add(
        self,
        path: str,
        handler: Callable[..., Awaitable[object]],
        name: str,
        words: str,
        *,
        body: type[BaseModel] | None = None,
        deletes: bool = True,
    ) -> None:
        """Register a handler with the types and the description of this kind."""
        handler.__doc__ = words
        found = Annotated[ProjectRows[Any, Any], project_rows(self.view)]
        handler.__annotations__ |= {"body": body or self.ref, "found": found}
        if body is None:
            handler.__annotations__["return"] = Item.__class_getitem__(self.view.read)  # type: ignore[attr-defined]
        access = requires(self.kind.scope, self.kind.role) if deletes else requires(self.kind.scope)
        self.router.post(path, access, name=name)(handler)
