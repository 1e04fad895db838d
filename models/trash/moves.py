"""The three moves of the trash, the same for every kind; the caller holds the row."""

from typing import TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict, NotFound
from models.trash.kinds import TrashKind, trash_kind_of
from models.trash.trashable import Trashable

T = TypeVar("T", bound=Trashable)


async def trash(session: AsyncSession, kind: TrashKind[T], row: T, by: str | None) -> None:
    """Into the trash; Conflict while something at work needs it."""
    await kind.require_unused(session, row)
    row.trash(by)
    await kind.on_moved(session, row)


async def restore(session: AsyncSession, kind: TrashKind[T], row: T) -> None:
    """Out of the trash; Conflict when it is not in it."""
    if row.deleted_at is None:
        raise Conflict(f"The {kind.noun} is not in the trash.")
    row.restore()
    await kind.on_moved(session, row)


async def purge(session: AsyncSession, kind: TrashKind[T], row: T, by: str | None = None) -> list[Trashable]:
    """Deleted for good, from the trash or not: hidden from everybody until its workflow has deleted it.

    Conflict while something at work needs it.  What is to be deleted: it, and what goes with it.
    """
    await kind.require_unused(session, row)
    row.purge(by)
    await kind.on_moved(session, row)
    await kind.hide_dependants(session, row)
    gone: list[Trashable] = [row]
    for other in await kind.dependants(session, row):
        gone += await purge(session, trash_kind_of(other), other, by)
    return gone


async def remove(session: AsyncSession, kind: TrashKind[T], id: str) -> None:
    """Delete the rows of an object that was deleted for good; one that is gone already is fine.

    NotFound for one that nobody deleted for good.
    """
    row = await session.get(kind.table, id, with_for_update=True)
    if row is None:
        return
    if row.purged_at is None:
        raise NotFound(f"The {kind.noun} {id} is not deleted for good.")
    await kind.remove(session, row)
