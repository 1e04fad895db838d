"""Filters of lists: what a query string may say, and how it becomes a condition."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from api.http.pagination import PageQuery

FIRST_YEAR, LAST_YEAR = 1970, 2999


def one_or_several(kind: type[StrEnum]) -> BeforeValidator:
    """For a filter that is given once or several times, or with commas: any of the values will do."""
    values = [each.value for each in kind]

    def split(given: object) -> object:
        if not isinstance(given, list):
            return given
        texts = [part for text in given for part in str(text).split(",")]
        if not set(texts) <= set(values):
            raise ValueError(f"give one of {', '.join(values)}, or several of them")
        return sorted(set(texts))

    return BeforeValidator(split)


def _to_utc(moment: datetime) -> datetime:
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise ValueError(f"give a moment between the years {FIRST_YEAR} and {LAST_YEAR}")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _require_iso_text(value: object) -> object:
    if isinstance(value, str) and "-" not in value[1:]:
        raise ValueError("give a moment like 2026-01-15T10:00:00Z")
    return value


Instant = Annotated[datetime, BeforeValidator(_require_iso_text), AfterValidator(_to_utc)]
"""A moment as ISO-8601, in UTC unless it says otherwise; a date is its first moment."""
Search = Annotated[str, Field(min_length=1, max_length=200)]
"""A part of a name."""


class SearchQuery(PageQuery):
    """A page of what can be searched for by its name."""

    search: Search | None = None
    """Those whose name contains this, in upper or lower case."""

    def filters(self) -> dict[str, object]:
        given = super().filters()
        return given if self.search is None else given | {"search": like_pattern(self.search)}


def like_pattern(search: str) -> str:
    """The pattern of `ILIKE` that finds names which contain the text, whatever signs it has."""
    escaped = search.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
    return f"%{escaped}%"
