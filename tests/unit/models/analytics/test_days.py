"""Days of time zones: every moment is of exactly one, and quarters of an hour are never cut in two."""

from bisect import bisect_right
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kit.errors import Invalid
from models.analytics.day_range import Days, days_between, today

ZONES = sorted(available_timezones())


@given(st.sampled_from(ZONES), st.integers(1_577_923_200, 2_145_744_000))
def test_a_moment_is_of_the_day_that_the_calendar_shows(zone: str, seconds: int) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    local = moment.astimezone(ZoneInfo(zone)).date()
    days = Days(local - timedelta(days=1), local + timedelta(days=1), zone)
    assert days.dates[bisect_right(days.bounds[:-1], moment) - 1] == local
    assert days.start <= moment < days.end


def test_no_day_of_any_zone_begins_within_a_quarter_of_an_hour() -> None:
    for zone in ZONES:
        for begin in Days(date(2026, 1, 1), date(2027, 12, 31), zone).bounds:
            assert begin.timestamp() % 900 == 0, zone


def test_days_have_the_hours_that_the_clocks_give_them() -> None:
    days = Days(date(2026, 3, 7), date(2026, 3, 9), "America/New_York")
    assert [begin.hour for begin in days.bounds] == [5, 5, 4, 4]
    assert days.end - days.start == timedelta(hours=71)
    skipped = Days(
        date(2022, 3, 27), date(2022, 3, 27), "Asia/Beirut"
    )  # its clocks went from midnight to one
    assert skipped.start == datetime(2022, 3, 26, 22, tzinfo=UTC)
    assert skipped.end - skipped.start == timedelta(hours=23)


def test_a_range_that_is_left_open_has_thirty_days() -> None:
    now = today("UTC")
    assert days_between(None, None, "UTC") == Days(now - timedelta(days=29), now, "UTC")
    assert days_between(date(2024, 1, 1), date(2024, 1, 1), "UTC").length == 1
    assert days_between(None, date(2024, 1, 31), "UTC").first == date(2024, 1, 2)
    assert days_between(date(2024, 1, 1), date(2024, 12, 31), "UTC").length == 366
    assert days_between(now + timedelta(days=3), None, "UTC").length == 1
    for first, last in ((date(2024, 1, 2), date(2024, 1, 1)), (date(2024, 1, 1), date(2025, 1, 1))):
        with pytest.raises(Invalid) as refused:
            days_between(first, last, "UTC")
        assert refused.value.field == "endDate"
