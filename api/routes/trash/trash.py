"""The trash of a project: what is in it, brought back or deleted for good, whatever its kind."""

from typing import Annotated, Final

from fastapi import Path, Query, Request

from api.auth import needs, needs_of
from api.http.pagination import Window
from api.http.responses import Many
from api.http.router import Router
from api.state import unit_of
from api.trash.moves import Trash
from kit.errors import Conflict, NotFound
from models.trash.entry_schemas import LONGEST_NAME, TRASH, TrashedObject, TrashEntry, TrashRef
from models.trash.kinds import KINDS, TrashType, kind_of
from models.trash.trashable import Trashable

router = Router("/trash", "Trash")
LIST = needs("projects:read")
OWN: Final = needs_of({kind.entity: kind.scope for kind in KINDS.values()})
_TYPES = ", ".join(f"`{entity}`" for entity in TrashType)
Type = Annotated[str, Path(description=f"The kind of the object: {_TYPES}.")]


class TrashList(Window):
    type: TrashType | None = None
    """Only objects of this kind."""


@router.get("", LIST, name="list_trash_rest")
@router.get("/list", LIST)
async def list_trash(request: Request, window: Annotated[TrashList, Query()]) -> Many[TrashEntry]:
    """List what is in the trash, of all kinds or of one, last trashed first."""
    unit = unit_of(request)
    days = unit.api.settings.trash_retention_days
    where = {"project_id": unit.key.project_id, "retention_days": days, **window.filters()}
    return Many(TRASH, where, window)


@router.post("/restore", OWN, name="restore_from_trash_by_body")
async def restore_by_body(body: TrashRef, trash: Trash) -> TrashedObject:
    """Bring an object back from the trash; one that is not in it: 409."""
    return await _restore(trash, body.entity_type, body.entity_id)


@router.post("/permanent-delete", OWN, name="delete_from_trash_by_body")
async def delete_by_body(body: TrashRef, trash: Trash) -> TrashedObject:
    """Delete an object in the trash for good; one that is not in it: 409.

    Nobody sees it from now on, and it cannot be restored. Workflows need the role `admin`.
    """
    return await _delete(trash, body.entity_type, body.entity_id)


@router.post("/{type}/{id}/restore", OWN)
async def restore_from_trash(type: Type, id: str, trash: Trash) -> TrashedObject:
    """Bring an object back from the trash; one that is not in it: 409."""
    return await _restore(trash, _known(type), id)


@router.delete("/{type}/{id}", OWN)
async def delete_from_trash(type: Type, id: str, trash: Trash) -> TrashedObject:
    """Delete an object in the trash for good; one that is not in it: 409.

    Nobody sees it from now on, and it cannot be restored. Workflows need the role `admin`.
    """
    return await _delete(trash, _known(type), id)


async def _restore(trash: Trash, entity: TrashType, id: str) -> TrashedObject:
    row = await trash.find(entity, id)
    await trash.restore(kind_of(row), row)
    return _shown(row)


async def _delete(trash: Trash, entity: TrashType, id: str) -> TrashedObject:
    row = await trash.find(entity, id, role=KINDS[entity].role)
    if row.deleted_at is None:
        raise Conflict(f"The {kind_of(row).noun} is not in the trash: delete it first.")
    await trash.purge(kind_of(row), row)
    return _shown(row)


def _known(type: str) -> TrashType:
    try:
        return TrashType(type)
    except ValueError:
        raise NotFound(f"There is no such kind of object in the trash: there are {_TYPES}.") from None


def _shown(row: Trashable) -> TrashedObject:
    kind = kind_of(row)
    return TrashedObject(id=row.id, type=kind.entity, name=str(getattr(row, kind.name))[:LONGEST_NAME])
