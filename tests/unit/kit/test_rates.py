"""Rates as operators write them, and the arithmetic of buckets."""

from typing import Any

import pytest
from pydantic import ValidationError

from kit.settings import Settings
from kit.token_bucket import Bucket, Rate


def settings(**given: Any) -> Settings:
    return Settings.model_validate(
        {"database_url": "postgresql://u:p@h/d", "encryption_keys": "x", **given},
    )


@pytest.mark.parametrize(
    ("words", "rate"),
    [
        ("600/minute", Rate(600, 60)),
        ("600", Rate(600, 60)),
        ("5/second", Rate(5, 1)),
        ("1000/hour", Rate(1000, 3600)),
        ("1/day", Rate(1, 86400)),
        ("off", None),
    ],
)
def test_what_operators_write(words: str, rate: Rate | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATE_LIMIT_PER_KEY", words)
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@h/d")
    monkeypatch.setenv("ENCRYPTION_KEYS", "x")
    assert Settings().rate_limit_per_key == rate


@pytest.mark.parametrize("words", ["0", "-1", "many", "5/week", "5 / minute", "1.5/second", "none"])
def test_what_is_no_rate_is_refused_by_name(words: str) -> None:
    with pytest.raises(ValidationError, match="rate_limit_per_address"):
        settings(rate_limit_per_address=words)


def test_streams_can_be_off() -> None:
    assert settings(streams_per_project="off").streams_per_project is None
    assert settings(streams_per_project="7").streams_per_project == 7
    with pytest.raises(ValidationError):
        settings(streams_per_project="0")


@pytest.mark.parametrize("quota", [1, 7, 600])
def test_a_bucket_gives_its_quota_and_then_what_comes_back(quota: int) -> None:
    rate, bucket = Rate(quota, 60), Bucket(1000.0)
    assert sum(bucket.take(1000.0, rate, 1) for _ in range(2 * quota)) == quota
    assert bucket.available(1000.0, rate) == 0
    assert bucket.seconds_until_available(1000.0, rate) == pytest.approx(rate.spacing)
    assert bucket.take(1000.0 + 0.9 * rate.spacing, rate, 5) == 0
    assert bucket.take(1000.0 + rate.spacing, rate, 5) == 1
    assert bucket.take(1000.0 + 10_000, rate, quota + 5) == quota, "it holds no more than its quota"


def test_what_is_given_back_can_be_taken_again() -> None:
    rate, bucket = Rate(2, 60), Bucket(0.0)
    assert bucket.take(5.0, rate, 2) == 2
    bucket.give_back(rate)
    assert (bucket.seconds_until_available(5.0, rate), bucket.take(5.0, rate, 2)) == (0.0, 1)
