"""What goes over HTTP: camelCase outside, snake_case inside, unknown fields refused."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer, computed_field
from pydantic.alias_generators import to_camel

T = TypeVar("T")


def iso(moment: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


Moment = Annotated[datetime, PlainSerializer(iso, return_type=str, when_used="json")]
"""A point in time; on the wire `2026-01-15T10:00:00.000Z`."""

Money = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""US dollars; a JSON number on the wire, NUMERIC in the database."""


class Wire(BaseModel):
    """Any object on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, from_attributes=True
    )


class Body(Wire):
    """A request body: what it does not know, it refuses."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)


class Read(Wire):
    """An object with an identity: `id` and its older spelling `_id` hold the same value."""

    id: str

    @computed_field(alias="_id")  # type: ignore[prop-decorator]
    @property
    def convex_id(self) -> str:
        """The same as `id`."""
        return self.id


class Envelope(Wire, Generic[T]):
    data: T


class Page(Wire, Generic[T]):
    """One page of a list, newest first; pass `nextCursor` as `cursor` for the next one."""

    data: list[T]
    next_cursor: str | None = None
    has_more: bool = False


class ErrorBody(Wire):
    code: str
    message: str
    field: str | None = None
    request_id: str
    retryable: bool | None = None


class ErrorEnvelope(Wire):
    error: ErrorBody
