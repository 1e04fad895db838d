"""Lists, page by page: a cursor names the last row seen, and only the list it came from accepts it."""

import binascii
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b
from typing import Annotated

import orjson
from pydantic import Field

from kit.errors import Invalid
from kit.schemas import Wire

MAX_INTEGER = 2**31 - 1
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


class PageQuery(Wire):
    """Which stretch of a list; subclasses add the list's filters."""

    limit: Annotated[int, Field(ge=1, le=100)] = 25
    """How many objects a page has at most."""
    cursor: Annotated[str | None, Field(max_length=500)] = None
    """`nextCursor` of the page before; without it the list begins."""

    def filters(self) -> dict[str, object]:
        """The filters that were given, by field name."""
        return self.model_dump(exclude={"limit", "cursor"}, exclude_none=True, mode="json")


class CursorCodec:
    """The cursors of one list: `identity` is what the list is of, `kinds` the types of its key columns."""

    def __init__(self, identity: object, kinds: Sequence[object]) -> None:
        self._identity, self._kinds = orjson.dumps(identity, option=orjson.OPT_SORT_KEYS), kinds

    def encode(self, place: Sequence[object]) -> str:
        place_json = orjson.dumps(list(place))
        return urlsafe_b64encode(self._signature(place_json) + place_json).decode().rstrip("=")

    def decode(self, cursor: str) -> list[object]:
        """The place a cursor stands for; Invalid when it is broken or of another list."""
        try:
            raw = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
            place = orjson.loads(raw[6:])
        except (binascii.Error, ValueError):
            raise self._invalid_cursor() from None
        if (
            raw[:6] != self._signature(raw[6:])
            or not isinstance(place, list)
            or len(place) != len(self._kinds)
        ):
            raise self._invalid_cursor()
        if not all(_is_comparable(value, kind) for value, kind in zip(place, self._kinds, strict=True)):
            raise self._invalid_cursor()
        return place

    def _signature(self, place: bytes) -> bytes:
        return blake2b(place, key=blake2b(self._identity, digest_size=32).digest(), digest_size=6).digest()

    @staticmethod
    def _invalid_cursor() -> Invalid:
        return Invalid(
            "This cursor is not one of this list: pass `nextCursor` of its last page.", field="cursor"
        )


def _is_comparable(value: object, kind: object) -> bool:
    """Whether a column of this kind can be compared with the value."""
    if isinstance(value, str):
        return (kind is str and "\0" not in value) or (kind is datetime and _is_moment(value))
    return type(value) is int and kind is int and 0 <= value <= MAX_INTEGER


def _is_moment(value: str) -> bool:
    """Whether it is a point in time as `models.json_timeline` writes it."""
    if not _MOMENT.fullmatch(value):
        return False
    try:
        return datetime.fromisoformat(value).year > 0
    except ValueError:
        return False
