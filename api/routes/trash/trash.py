"""The trash of a project: what is in it, brought back or deleted for good, whatever its kind."""

from typing import Annotated, Final

from fastapi import Path, Query, Request

from api.auth import requires, requires_by_kind
from api.http.pagination import PageQuery
from api.http.responses import ItemPage
from api.http.router import Router
from api.state import unit_of_work_of
from api.trash.moves import TrashDep
from kit.errors import Conflict, NotFound
from models.trash.entry_schemas import MAX_NAME_CHARS, TRASH, TrashedObject, TrashEntry, TrashRef
from models.trash.kinds import TRASH_KINDS, TrashType, trash_kind_of
from models.trash.trashable import Trashable

router = Router("/trash", "Trash")
LIST_ACCESS = requires("projects:read")
ENTITY_ACCESS: Final = requires_by_kind({kind.entity: kind.scope for kind in TRASH_KINDS.values()})
_TYPES = ", ".join(f"`{entity}`" for entity in TrashType)
Type = Annotated[str, Path(description=f"The kind of the object: {_TYPES}.")]


class TrashList(PageQuery):
    type: TrashType | None = None
    """Only objects of this kind."""


@router.get("", LIST_ACCESS, name="list_trash_rest")
@router.get("/list", LIST_ACCESS)
async def list_trash(request: Request, window: Annotated[TrashList, Query()]) -> ItemPage[TrashEntry]:
    """List what is in the trash, of all kinds or of one, last trashed first."""
    unit = unit_of_work_of(request)
    days = unit.api.settings.trash_retention_days
    where = {"project_id": unit.key.project_id, "retention_days": days, **window.filters()}
    return ItemPage(TRASH, where, window)


@router.post("/restore", ENTITY_ACCESS, name="restore_from_trash_by_body")
async def restore_by_body(body: TrashRef, trash: TrashDep) -> TrashedObject:
    """Bring an object back from the trash; one that is not in it: 409."""
    return await _restore(trash, body.entity_type, body.entity_id)


@router.post("/permanent-delete", ENTITY_ACCESS, name="delete_from_trash_by_body")
async def delete_by_body(body: TrashRef, trash: TrashDep) -> TrashedObject:
    """Delete an object in the trash for good; one that is not in it: 409.

    Nobody sees it from now on, and it cannot be restored. Workflows need the role `admin`.
    """
    return await _delete(trash, body.entity_type, body.entity_id)


@router.post("/{type}/{id}/restore", ENTITY_ACCESS)
async def restore_from_trash(type: Type, id: str, trash: TrashDep) -> TrashedObject:
    """Bring an object back from the trash; one that is not in it: 409."""
    return await _restore(trash, _parse_type(type), id)


@router.delete("/{type}/{id}", ENTITY_ACCESS)
async def delete_from_trash(type: Type, id: str, trash: TrashDep) -> TrashedObject:
    """Delete an object in the trash for good; one that is not in it: 409.

    Nobody sees it from now on, and it cannot be restored. Workflows need the role `admin`.
    """
    return await _delete(trash, _parse_type(type), id)


async def _restore(trash: TrashDep, entity: TrashType, id: str) -> TrashedObject:
    row = await trash.find(entity, id)
    await trash.restore(trash_kind_of(row), row)
    return _trashed_object(row)


async def _delete(trash: TrashDep, entity: TrashType, id: str) -> TrashedObject:
    row = await trash.find(entity, id, role=TRASH_KINDS[entity].role)
    if row.deleted_at is None:
        raise Conflict(f"The {trash_kind_of(row).noun} is not in the trash: delete it first.")
    await trash.purge(trash_kind_of(row), row)
    return _trashed_object(row)


def _parse_type(type: str) -> TrashType:
    try:
        return TrashType(type)
    except ValueError:
        raise NotFound(f"There is no such kind of object in the trash: there are {_TYPES}.") from None


def _trashed_object(row: Trashable) -> TrashedObject:
    kind = trash_kind_of(row)
    return TrashedObject(id=row.id, type=kind.entity, name=str(getattr(row, kind.name))[:MAX_NAME_CHARS])
