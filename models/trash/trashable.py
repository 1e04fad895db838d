"""Records that can be put into the trash, taken out of it, and deleted for good."""

from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from models.base import Record, Timestamp, now


class Trashable(Record):
    """Trashed: `deleted_at`; deleted for good, though its row is still there: `purged_at` as well."""

    deleted_by: str | None = None
    """The member who put it into the trash, where one did."""
    purged_at: datetime | None = Field(default=None, sa_type=Timestamp)
    """Since when nobody sees it any more, not even in the trash: a workflow deletes it."""

    def trash(self, by: str | None = None) -> None:
        super().trash()
        self.deleted_by = by

    def restore(self) -> None:
        super().restore()
        self.deleted_by = None

    def purge(self, by: str | None = None) -> None:
        """Hide it from everybody for good; the first time counts."""
        if self.deleted_at is None:
            self.trash(by)
        self.purged_at = self.purged_at or now()


def trash_indexes(table: str) -> tuple[Index, Index]:
    """What finds the trash of a project, last trashed first, and what is being deleted for good."""
    in_trash = "deleted_at IS NOT NULL AND purged_at IS NULL"
    return (
        Index(f"{table}_trashed", "project_id", "deleted_at", "id", postgresql_where=in_trash),
        Index(f"{table}_purged", "purged_at", postgresql_where="purged_at IS NOT NULL"),
    )
