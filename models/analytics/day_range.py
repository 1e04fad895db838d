"""Days of a time zone: what a range of dates means in moments, and how a moment finds its day.

The boundaries are computed here and handed to the database, so that one set of rules decides, and the
database need not know the zone.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from kit.errors import Invalid
from models.base import now

MAX_DAYS: Final = 366
DEFAULT_DAYS: Final = 30
FIRST_DATE, LAST_DATE = date(1970, 1, 1), date(2999, 12, 31)
_DATE_PATTERN = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _require_iso_date(value: object) -> object:
    if isinstance(value, str) and not _DATE_PATTERN.fullmatch(value):
        raise ValueError("give a date as YYYY-MM-DD")
    return value


ZONES: Final = frozenset(available_timezones())
"""Read once: to look for them takes longer than all the rest of a request."""


def _require_known_zone(zone: str) -> str:
    if zone not in ZONES:
        raise ValueError("this is no IANA time zone: give one like America/New_York or UTC")
    return zone


Day = Annotated[
    date,
    BeforeValidator(_require_iso_date),
    Field(ge=FIRST_DATE, le=LAST_DATE),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-15"]}),
]
"""`YYYY-MM-DD` and nothing else."""
Zone = Annotated[str, Field(max_length=100), AfterValidator(_require_known_zone)]
"""The name of an IANA time zone."""
DayCount = Annotated[int, Field(ge=1, le=3660)]


class Days(NamedTuple):
    """The days from `first` to `last`, both included, in a time zone."""

    first: date
    last: date
    zone: str

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def dates(self) -> list[date]:
        return [self.first + timedelta(days=index) for index in range(self.length)]

    @property
    def bounds(self) -> list[datetime]:
        """The first moment of each day, and the first one after the last day."""
        return [_begin(self.first + timedelta(days=index), self.zone) for index in range(self.length + 1)]

    @property
    def start(self) -> datetime:
        """The first moment of the first day."""
        return _begin(self.first, self.zone)

    @property
    def end(self) -> datetime:
        """The first moment after the last day."""
        return _begin(self.last + timedelta(days=1), self.zone)


def _begin(day: date, zone: str) -> datetime:
    """The first moment of a day: where the clocks skip midnight, the moment at which they do."""
    return datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).astimezone(UTC)


def today(zone: str) -> date:
    return now().astimezone(ZoneInfo(zone)).date()


def days_between(
    first: date | None,
    last: date | None,
    zone: str,
    *,
    count: int = DEFAULT_DAYS,
    at_most: int | None = MAX_DAYS,
) -> Days:
    """The range that was asked for; `count` days until today where it is left open.

    Invalid when it ends before it begins, or is longer than `at_most` days.
    """
    end = last or (today(zone) if first is None else max(first, today(zone)))
    begin = first or max(FIRST_DATE, end - timedelta(days=count - 1))
    days = Days(begin, end, zone)
    if days.length < 1:
        raise Invalid("endDate: this is before startDate.", field="endDate")
    if at_most is not None and days.length > at_most:
        raise Invalid(f"endDate: the range may have {at_most} days at most.", field="endDate")
    return days
