"""When a recurring task fires: wall-clock times of a zone as moments in UTC.

Written from the specification alone: a time that the clocks skip fires at the first moment after the gap, one
that they show twice fires the first time, a month without the day fires on its last.
"""

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)


class Frequency(StrEnum):
    """How often a task fires: every day, every other day, every week, every two weeks, or every month."""

    daily = "daily"
    every_other_day = "every_other_day"
    weekly = "weekly"
    biweekly = "biweekly"
    monthly = "monthly"

    @property
    def days(self) -> int | None:
        """Between two of its slots; None for months, which differ."""
        return {"daily": 1, "every_other_day": 2, "weekly": 7, "biweekly": 14}.get(self.value)


@dataclass(frozen=True)
class Recurrence:
    frequency: Frequency
    zone: ZoneInfo
    at: time
    since: datetime
    """When the task was created: its weekday, its day of the month, and where counting begins."""

    def firings_after(self, moment: datetime) -> Iterator[datetime]:
        """Every firing later than a moment, in order, in UTC."""
        first = self.since.astimezone(self.zone).date()
        begin = max(first, moment.astimezone(self.zone).date() - DAY)
        for day in self._days(first, begin):
            fires = first_moment_at(datetime.combine(day, self.at), self.zone)
            if fires > moment and fires >= self.since:
                yield fires

    def _days(self, first: date, begin: date) -> Iterator[date]:
        """The days of its slots from `begin` on."""
        if (days := self.frequency.days) is None:
            yield from _months(first, begin)
            return
        day = first + timedelta(days=-(-(begin - first).days // days) * days)
        while True:
            yield day
            day += timedelta(days=days)


def _months(first: date, begin: date) -> Iterator[date]:
    year, month = begin.year, begin.month
    while True:
        day = date(year, month, min(first.day, monthrange(year, month)[1]))
        if day >= begin:
            yield day
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def first_moment_at(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first moment, in UTC, at which the clocks of a zone show this time or a later one of that day."""
    earlier, later = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier <= later:  # an ordinary time, or one shown twice, of which this is the first
        return earlier
    before, after = later, earlier  # in a gap: the change of the clocks lies between
    while after - before > SECOND:
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            after = middle
    return after
