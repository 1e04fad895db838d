"""A clock that is wrong: what a process of the product sees when its host's clock was stepped."""

import os
import time
from datetime import datetime, timedelta, tzinfo
from typing import Self

import models.base

CLOCK_SHIFT = "CLOCK_SHIFT"
"""The variable that tells a process by how many seconds its clock is ahead; negative: behind."""


def shift_clock() -> None:
    """Shift this process's wall clock as its environment says; its monotonic clock goes on as it was."""
    seconds = float(os.environ.get(CLOCK_SHIFT, "0"))
    if not seconds:
        return
    real = time.time

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + timedelta(seconds=seconds)

    time.time = lambda: real() + seconds
    setattr(models.base, "datetime", Shifted)  # noqa: B010 — every timestamp of a row comes from there
