"""What every table shares."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, cast

from sqlalchemy import DateTime, Enum, Numeric
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import declared_attr
from sqlmodel import Field, SQLModel

Timestamp = cast("Any", DateTime(timezone=True))
Json = cast("Any", JSONB)
Dollars = cast("Any", Numeric(16, 8))
JsonObject = dict[str, object]


def enum_column(values: type[StrEnum]) -> Any:
    """A column of one of these values, stored as their text: adding a value needs no migration."""
    return Enum(
        values, native_enum=False, length=40, values_callable=lambda kind: [item.value for item in kind]
    )


def now() -> datetime:
    return datetime.now(UTC)


class Table(SQLModel):
    """A table named after its class: `AgentSession` is `agent_session`."""

    @declared_attr.directive
    def __tablename__(cls) -> str:  # noqa: N805
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


class Record(Table):
    """Every object of a project: its name, whose it is, when it came, whether it is in the trash."""

    id: str = Field(primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    deleted_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def trash(self) -> None:
        self.deleted_at = now()

    def restore(self) -> None:
        self.deleted_at = None
