"""The trash as handlers use it: who may move what, and the workflow of what is deleted for good."""

from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Depends, Request
from sqlalchemy import select
from sqlmodel import col

from activities.trash.launch import Deletion, start_deletion
from api.after_commit import AfterCommitDep
from api.auth import Access
from api.sandboxes.sandbox_end import end_sandbox
from api.state import UnitOfWork, unit_of_work_of
from kit.errors import NotFound
from kit.ids import is_id
from models.projects.project import Role
from models.sandboxes.sandbox import Sandbox
from models.trash import moves
from models.trash.kinds import TRASH_KINDS, TrashKind, TrashType
from models.trash.trashable import Trashable

T = TypeVar("T", bound=Trashable)


class TrashActions:
    """The moves of the trash within one request."""

    def __init__(self, unit: UnitOfWork, workflows: AfterCommitDep) -> None:
        self.unit, self._workflows = unit, workflows

    async def find(self, entity: TrashType, id: str, *, role: Role = Role.member) -> Trashable:
        """The object of this kind, in the trash or not, held until the commit.

        ScopeDenied, or Forbidden below the role, before it is looked for; NotFound.
        """
        kind: TrashKind[Any] = TRASH_KINDS[entity]
        self.unit.key.require(Access(kind.scope, role))
        if not is_id(id, kind.prefix):
            raise NotFound(f"{kind.noun.capitalize()} not found.")
        table = kind.table
        statement = select(table).where(
            col(table.id) == id,
            col(table.project_id) == self.unit.key.project_id,
            col(table.purged_at).is_(None),
        )
        found = await self.unit.session.execute(statement.with_for_update())
        row: Trashable | None = found.scalar_one_or_none()
        if row is None:
            raise NotFound(f"{kind.noun.capitalize()} not found.")
        return row

    async def trash(self, kind: TrashKind[T], row: T) -> None:
        await self._end(row)
        await moves.trash(self.unit.session, kind, row, self.unit.key.member_id)

    async def restore(self, kind: TrashKind[T], row: T) -> None:
        await moves.restore(self.unit.session, kind, row)

    async def purge(self, kind: TrashKind[T], row: T) -> None:
        """Gone for everybody from the commit on; a workflow deletes it, now or once it can be started."""
        await self._end(row)
        for gone in await moves.purge(self.unit.session, kind, row, self.unit.key.member_id):
            deletion = Deletion.of(gone)
            self._workflows.notify(deletion.temporal_workflow_id, partial(start_deletion, deletion=deletion))

    async def _end(self, row: Trashable) -> None:
        """A sandbox of one's own ends with its deletion."""
        if isinstance(row, Sandbox):
            await end_sandbox(self.unit.session, self._workflows, row)


async def _moves(request: Request, workflows: AfterCommitDep) -> TrashActions:
    return TrashActions(unit_of_work_of(request), workflows)


TrashDep = Annotated[TrashActions, Depends(_moves)]
