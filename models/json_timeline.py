"""Timelines: lists in the order of a point in time, exact to a microsecond, however the wire rounds it."""

from functools import cache
from typing import TypeVar

from pydantic import BaseModel

from models.base import Table
from models.json_view import JsonView

T = TypeVar("T", bound=Table)
R = TypeVar("R", bound=BaseModel)


def exact_timestamp_sql(column: str) -> str:
    """SQL of a point in time as a cursor holds it: `2026-01-15T10:00:00.123456Z`."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


class Timeline(JsonView[T, R]):
    """A view whose lists are in the order of `created_at`, then of `id`.

    Sorting by id alone is the same order, but a stretch between two moments is only found at once in an index
    that begins with the moment.
    """

    @cache  # noqa: B019 - views live as long as the process
    def page(self, where: tuple[str, ...], many: frozenset[str], after: bool, descending: bool) -> str:
        """As `JsonView.page`; a moment's cursor is exact: no row of the same millisecond is passed over."""
        moment, id = f"{self.name}.created_at", f"{self.name}.id"  # noqa: A001
        conditions = self._conditions(where, many)
        if after:
            place = "(%(after_0)s::timestamptz, %(after_1)s)"
            conditions += f" AND ({moment}, {id}) {'<' if descending else '>'} {place}"
        direction = "DESC" if descending else "ASC"
        row = f"(SELECT row_to_json(shown) FROM (SELECT {self._computed}) AS shown)::text"  # noqa: S608
        return (
            f"SELECT {exact_timestamp_sql(moment)}, {id}, {row} FROM {self.name} WHERE {conditions}"  # noqa: S608
            f" ORDER BY {moment} {direction}, {id} {direction} LIMIT %(take)s"
        )
