"""What goes over HTTP: camelCase outside, snake_case inside, unknown fields refused."""

from datetime import UTC, datetime
from decimal import Decimal
from inspect import getdoc
from typing import Annotated, Any, Generic, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    PlainSerializer,
    WithJsonSchema,
    computed_field,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict
from pydantic_core import CoreSchema

T = TypeVar("T")


def format_timestamp(moment: datetime) -> str:
    """ISO-8601 in UTC with milliseconds and `Z`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


UtcTimestamp = Annotated[datetime, PlainSerializer(format_timestamp, return_type=str, when_used="json")]
"""A point in time; on the wire `2026-01-15T10:00:00.000Z`."""

UsdAmount = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
"""US dollars; a JSON number on the wire, NUMERIC in the database."""

Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]
"""A name or a title: not blank, at most 200 characters."""


def require_number(value: object) -> object:
    """Refuse what Pydantic would make a number of: strings, true and false."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("give a number of US dollars, without quotes")
    return value


CapUsd = Annotated[
    Decimal,
    BeforeValidator(require_number),
    Field(gt=0, le=1_000_000, decimal_places=8, allow_inf_nan=False),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1_000_000}),
]
"""A limit in US dollars, above zero and at most a million, to eight decimal places."""


def _parse_flag(value: object) -> object:
    if value not in ("true", "false", True, False):
        raise ValueError("give true or false")
    return value


QueryFlag = Annotated[bool, BeforeValidator(_parse_flag)]
"""A boolean of a query string: `true` or `false`, nothing else."""


class SecretMarker:
    """Marks a field of an answer as a secret, which is in that answer and nowhere else: no copy is kept."""


Secret = Annotated[str, SecretMarker()]
"""A secret that an answer shows, once."""


def contains_secret_field(answer: object) -> bool:
    """Whether an answer of this type holds a secret."""
    if not (isinstance(answer, type) and issubclass(answer, BaseModel)):
        return False
    return any(
        isinstance(mark, SecretMarker) for field in answer.model_fields.values() for mark in field.metadata
    )


class Wire(BaseModel):
    """Any object on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        from_attributes=True,
        use_attribute_docstrings=True,
    )


def _make_strict(schema: object) -> None:
    """Mark the booleans and integers within a schema as strict.

    Pydantic's own strict mode would also refuse dates, enumerations and nested objects, which arrive as the
    strings and dictionaries of parsed JSON.
    """
    if isinstance(schema, list):
        for part in schema:
            _make_strict(part)
    elif isinstance(schema, dict):
        if schema.get("type") in ("bool", "int"):
            schema["strict"] = True
        for key, part in schema.items():
            if key not in ("default", "metadata", "serialization"):
                _make_strict(part)


class Body(Wire):
    """A request body: unknown fields are refused, booleans and integers are not coerced from other types."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        _make_strict(schema)
        return schema


class Read(Wire):
    """An object with an identity: `id` and its older spelling `_id` hold the same value."""

    id: str
    """The object's id."""

    @computed_field(alias="_id")  # type: ignore[prop-decorator]
    @property
    def convex_id(self) -> str:
        """The same as `id`."""
        return self.id


def _describe_like_its_origin(schema: JsonDict, model: type[Any]) -> None:
    """Give `Envelope[X]` the docstring of `Envelope`, which Pydantic does not pass on."""
    origin = model.__pydantic_generic_metadata__["origin"]
    if origin is not None:
        schema["description"] = getdoc(origin)


GENERIC_CONFIG = ConfigDict(json_schema_extra=_describe_like_its_origin, use_attribute_docstrings=False)
"""Without docstrings of fields: Pydantic would look for them again for each type that a schema is made of,
which took most of the time of the API's start."""


class Envelope(Wire, Generic[T]):
    """One object."""

    model_config = GENERIC_CONFIG
    data: Annotated[T, Field(description="The object.")]


class Page(Wire, Generic[T]):
    """One page of a list; pass `nextCursor` as `cursor` for the next one."""

    model_config = GENERIC_CONFIG
    data: Annotated[list[T], Field(description="The objects of this page.")]
    next_cursor: Annotated[
        str | None, Field(description="Pass it as `cursor` for the next page; null on the last one.")
    ] = None
    has_more: Annotated[bool, Field(description="Whether there is another page.")] = False


class FieldError(Wire):
    """One field that does not fit."""

    field: str
    """The camelCase path of the field, for example `config.sandbox.memoryMb`."""
    message: str
    """What is wrong with it."""


class ErrorBody(Wire):
    """What went wrong."""

    code: str
    """A stable name, for programs."""
    message: str
    """A sentence, for people: what was wrong, where, and what to do."""
    field: str | None = None
    """The camelCase path of the first field that does not fit."""
    errors: list[FieldError] | None = None
    """Every field that does not fit, when the request does not fit its schema; the first hundred of them."""
    request_id: str
    """The same as the header `X-Request-ID`; the server's log has the details under it."""
    retryable: bool | None = None
    """True when the same request may succeed later."""


class ErrorEnvelope(Wire):
    """An error."""

    error: ErrorBody
    """What went wrong, where, and whether trying again may help."""
