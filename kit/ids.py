"""Prefixed, time-ordered identifiers: `r_0198f…` sorts by creation, so it is also the cursor."""

import re
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from uuid_utils import uuid7

_BODY = re.compile(r"[0-9a-f]{32}\Z")


def new_id(prefix: str) -> str:
    """`<prefix>_` and the 32 hexadecimal digits of a UUIDv7."""
    return f"{prefix}_{uuid7().hex}"


def derived_id(prefix: str, moment: datetime, cause: str) -> str:
    """An id that is always the same for the same cause, and sorts as one that was made at the moment."""
    chance = sha256(cause.encode()).hexdigest()
    return f"{prefix}_{int(moment.timestamp() * 1000):012x}7{chance[:3]}8{chance[3:18]}"


def prefixed(prefix: str) -> Callable[[], str]:
    """A default factory for one table's ids."""
    return lambda: new_id(prefix)


def lowest_id(prefix: str, moment: datetime) -> str:
    """Below every id that was made at or after the moment, and above those made before."""
    return f"{prefix}_{int(moment.timestamp() * 1000):012x}{'0' * 20}"


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` could be an id of this kind at all."""
    return value.startswith(f"{prefix}_") and _BODY.match(value, len(prefix) + 1) is not None
