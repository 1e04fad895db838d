"""Which events are meant: by a type (`run.completed`), by the beginning of types (`run.*`), or all (`*`)."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from models.event import EventType

ALL_EVENTS: Final = "*"
TYPES: Final = frozenset(kind.value for kind in EventType)


def is_known(pattern: str) -> bool:
    """Whether some event can be meant."""
    if pattern == ALL_EVENTS:
        return True
    if pattern.endswith(".*"):
        return any(known.startswith(pattern[:-1]) for known in TYPES)
    return pattern in TYPES


def matches_sql(type: str, patterns: str) -> str:
    """SQL of whether a type is meant by patterns, both given as SQL: a text, and a JSON array of texts.

    A known pattern holds none of the signs that mean something to LIKE; 37 is the one that means anything.
    """
    return (
        f"{type} LIKE ANY (SELECT replace(pattern, '{ALL_EVENTS}', chr(37))"  # noqa: S608
        f" FROM jsonb_array_elements_text({patterns}) AS pattern)"
    )


def _require_known_pattern(pattern: str) -> str:
    if not is_known(pattern):
        raise ValueError(
            f"“{pattern[:60]}” means no event: "
            "give a type like `run.completed`, a beginning like `run.*`, or `*`"
        )
    return pattern


Pattern = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_require_known_pattern)]
