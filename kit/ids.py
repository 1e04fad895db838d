"""Prefixed, time-ordered identifiers: `r_0198f…` sorts by creation, so it is also the cursor."""

import re
from collections.abc import Callable

from uuid_utils import uuid7

_BODY = re.compile(r"[0-9a-f]{32}\Z")


def new_id(prefix: str) -> str:
    """`<prefix>_` and the 32 hexadecimal digits of a UUIDv7."""
    return f"{prefix}_{uuid7().hex}"


def prefixed(prefix: str) -> Callable[[], str]:
    """A default factory for one table's ids."""
    return lambda: new_id(prefix)


def is_id(value: str, prefix: str) -> bool:
    """Whether `value` could be an id of this kind at all."""
    return value.startswith(f"{prefix}_") and _BODY.match(value, len(prefix) + 1) is not None
