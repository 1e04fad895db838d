"""When recurring tasks fire, held against a reference that reads the clocks of a zone minute by minute."""

from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo

import pytest

from models.schedules.recurrence import Frequency, Recurrence

ZONES = [
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "America/Anchorage",
    "America/Argentina/Buenos_Aires",
    "America/Asuncion",
    "America/Bogota",
    "America/Caracas",
    "America/Chicago",
    "America/Denver",
    "America/Halifax",
    "America/Havana",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/New_York",
    "America/Nuuk",
    "America/Santiago",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Antarctica/Troll",
    "Asia/Beirut",
    "Asia/Gaza",
    "Asia/Jerusalem",
    "Asia/Kathmandu",
    "Asia/Kolkata",
    "Asia/Shanghai",
    "Asia/Tehran",
    "Asia/Tokyo",
    "Atlantic/Azores",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Europe/Berlin",
    "Europe/Dublin",
    "Europe/London",
    "Europe/Lisbon",
    "Pacific/Apia",
    "Pacific/Auckland",
    "Pacific/Chatham",
    "UTC",
]
SINCE = datetime(2026, 1, 31, 9, 17, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=3 * 366)
SLOTS = [
    time(0, 0),
    time(0, 30),
    time(1, 30),
    time(2, 15),
    time(2, 30),
    time(3, 0),
    time(12, 5),
    time(23, 45),
]


def days(frequency: Frequency, first: date, until: date) -> list[date]:
    """The slots' days as the specification names them."""
    every = [first + timedelta(days=n) for n in range((until - first).days)]
    if frequency is Frequency.monthly:
        return [d for d in every if d.day == min(first.day, monthrange(d.year, d.month)[1])]
    step = {"daily": 1, "every_other_day": 2, "weekly": 7, "biweekly": 14}[frequency]
    return every[::step]


def shown_first(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first minute of UTC in which the clocks show this time or a later one."""
    moment = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    step = timedelta(hours=1)
    while step:
        while moment.astimezone(zone).replace(tzinfo=None) < wall:
            moment += step
        if step == timedelta(minutes=1):
            return moment
        moment -= step
        step = {60: timedelta(minutes=15), 15: timedelta(minutes=1)}[step.seconds // 60]
    raise AssertionError


@pytest.mark.parametrize("frequency", Frequency)
@pytest.mark.parametrize("zone", ZONES)
def test_three_years_of_a_zone(zone: str, frequency: Frequency) -> None:
    clocks = ZoneInfo(zone)
    at = SLOTS[(ZONES.index(zone) + list(Frequency).index(frequency)) % len(SLOTS)]
    rule = Recurrence(frequency, clocks, at, SINCE)
    first = SINCE.astimezone(clocks).date()
    expected = [
        fires
        for day in days(frequency, first, UNTIL.date())
        if (fires := shown_first(clocks, datetime.combine(day, at))) >= SINCE
    ]
    fired = list(
        takewhile(lambda fires: fires <= expected[-1], rule.firings_after(SINCE - timedelta(days=400)))
    )
    assert fired == expected
    assert len(expected) > 30


@pytest.mark.parametrize(
    ("zone", "at", "day", "fires"),
    [
        (
            "America/New_York",
            time(2, 30),
            date(2027, 3, 14),
            "2027-03-14T07:00:00+00:00",
        ),  # skipped: 03:00 EDT
        ("America/New_York", time(1, 30), date(2027, 11, 7), "2027-11-07T05:30:00+00:00"),  # twice: EDT
        ("Europe/London", time(1, 30), date(2027, 3, 28), "2027-03-28T01:00:00+00:00"),
        ("Australia/Lord_Howe", time(2, 15), date(2027, 10, 3), "2027-10-02T15:30:00+00:00"),  # half an hour
        ("America/Havana", time(0, 0), date(2027, 3, 14), "2027-03-14T05:00:00+00:00"),  # midnight is skipped
        ("Asia/Kathmandu", time(6, 0), date(2027, 3, 14), "2027-03-14T00:15:00+00:00"),
    ],
)
def test_nights_when_clocks_change(zone: str, at: time, day: date, fires: str) -> None:
    rule = Recurrence(Frequency.daily, ZoneInfo(zone), at, SINCE)
    wanted = datetime.fromisoformat(fires)
    assert next(rule.firings_after(wanted - timedelta(hours=1))) == wanted
    around = list(islice(rule.firings_after(wanted - timedelta(days=3)), 6))
    assert len({moment.astimezone(ZoneInfo(zone)).date() for moment in around}) == 6
    assert day in {moment.astimezone(ZoneInfo(zone)).date() for moment in around}


def test_a_month_without_the_day_fires_on_its_last() -> None:
    rule = Recurrence(Frequency.monthly, ZoneInfo("UTC"), time(8, 0), datetime(2027, 12, 31, tzinfo=UTC))
    fired = [moment.date().isoformat() for moment in islice(rule.firings_after(rule.since), 4)]
    assert fired == ["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]


def test_the_first_slot_may_be_on_the_day_of_creation() -> None:
    for hour, first in ((8, "2026-02-02"), (10, "2026-01-31")):
        rule = Recurrence(Frequency.every_other_day, ZoneInfo("UTC"), time(hour), SINCE)
        assert next(rule.firings_after(SINCE)).date().isoformat() == first
