"""How rows look on the wire: PostgreSQL itself writes the JSON, once, and nobody parses it on the way out.

A view names a wire schema and a table.  A wire field is the column of the same name unless the view gives SQL
for it.  `tests/unit/api` proves that what comes out equals the documented schema.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict, JsonValue
from sqlalchemy import DateTime, Numeric, inspect
from sqlalchemy.sql.schema import Column

from kit.schemas import Read
from models.base import Table

T = TypeVar("T", bound=Table)
R = TypeVar("R", bound=BaseModel)

CANDIDATE_IDS = "among"
"""A condition that every view has: restricts a list to these ids, which must include every row that the other
conditions match."""


def example(**fields: JsonValue) -> ConfigDict:
    """A `model_config` that shows one example of the object in the API's description."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


def unset_field() -> Any:
    """The default of an update's field: left as it is; `null` is refused unless the type allows it."""

    def without_default(schema: JsonDict) -> None:
        schema.pop("default", None)

    return Field(default=None, json_schema_extra=without_default)


def timestamp_sql(column: str) -> str:
    """SQL of a point in time as `kit.schemas.format_timestamp` writes it."""
    return f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')"""


def json_object_sql(**values: str) -> str:
    """SQL of a JSON object from names and SQL expressions."""
    return "json_build_object(" + ", ".join(f"'{name}', {value}" for name, value in values.items()) + ")"


def name_filter_sql(table: str) -> str:
    """The condition of a search for a part of a name: a filter alone, as `CANDIDATE_IDS` brings few.

    Written so that the planner supposes that most rows match, and reads a list in its order.
    """
    return f"(CASE WHEN {table}.name ILIKE %(search)s THEN 1 END) IS NOT NULL"


class JsonView(Generic[T, R]):
    """One table as one wire schema; `keys` are the fields that order its lists: unique together.

    `shown`, `where` and `ranks` are SQL: of wire fields that are no column, of conditions by the name of
    their parameter, and of integers that are keys but no wire fields. `scope` is the column by which a list
    in the order of ids is a stretch of an index.
    """

    def __init__(
        self,
        read: type[R],
        table: type[T],
        noun: str,
        *,
        keys: tuple[str, ...] = ("id",),
        shown: Mapping[str, str] | None = None,
        where: Mapping[str, str] | None = None,
        ranks: Mapping[str, str] | None = None,
        scope: str = "project_id",
    ) -> None:
        self.read, self.table, self.noun, self.keys = read, table, noun, keys
        self._scope = scope if keys == ("id",) else None
        self._ranks = dict(ranks or {})
        mapped = inspect(table).local_table
        self.columns: dict[str, Column[object]] = {column.name: column for column in mapped.columns}
        self.name = inspect(table).local_table.description
        self._where = {CANDIDATE_IDS: f"{self.name}.id = ANY(%({CANDIDATE_IDS})s)", **(where or {})}
        self._computed = self._columns(dict(shown or {}))
        self._keys = [{**self._ranks, **(shown or {})}.get(key) or self._column(key) for key in keys]
        self.key_types: list[object] = [
            int if key in self._ranks else read.model_fields[key].annotation for key in keys
        ]
        factory = table.model_fields["id"].default_factory if "id" in table.model_fields else None
        self.prefix: str | None = factory().split("_")[0] if factory else None  # type: ignore[call-arg]

    def array(self, where: str, order: str) -> str:
        """SQL of a JSON array of these objects, for a view that holds them; `order` names wire fields."""
        rows = f"SELECT {self._computed} FROM {self.name} WHERE {where}"  # noqa: S608
        return (
            f"(SELECT coalesce(json_agg(row_to_json(shown) ORDER BY {order}), '[]') FROM ({rows}) AS shown)"  # noqa: S608
        )

    def first(self, where: str, order: str) -> str:
        """SQL of one of these objects or null, for a view that holds it; `order` names columns."""
        row = f"SELECT {self._computed} FROM {self.name} WHERE {where} ORDER BY {order} LIMIT 1"  # noqa: S608
        return f"(SELECT row_to_json(shown) FROM ({row}) AS shown)"  # noqa: S608

    @cache  # noqa: B019 - views live as long as the process
    def select(self, where: tuple[str, ...], trashed: bool = False) -> str:
        """SQL of one object; parameters are named after the columns in `where`.

        trashed: one in the trash, too.
        """
        conditions = self._conditions(where, frozenset(), trashed)
        found = f"SELECT {self._computed} FROM {self.name} WHERE {conditions}"  # noqa: S608
        return f"SELECT row_to_json(shown)::text FROM ({found}) AS shown"  # noqa: S608

    @cache  # noqa: B019
    def page(self, where: tuple[str, ...], many: frozenset[str], after: bool, descending: bool) -> str:
        """SQL of a stretch of a list: key columns, then the object.  More parameters: `take`, `after_N`.

        `many`: those of `where` whose parameter is a list, any of which will do.
        """
        order_by, place = self._keys, [f"%(after_{index})s" for index in range(len(self.keys))]
        conditions = [self._conditions([name for name in where if name != self._scope], many)]
        if self._scope in where:
            # As a range, the scope stays a part of the order: else PostgreSQL may read the ids of all
            # projects, newest first, until it has met enough of this one, which may be old.
            scope, value = self._column(self._scope), f"%({self._scope})s"
            sides = (">=", "<=") if not after else (">=",) if descending else ("<=",)
            conditions += [f"{scope} {side} {value}" for side in sides]
            order_by, place = [scope, *order_by], [value, *place]
        if after:
            conditions.append(f"({', '.join(order_by)}) {'<' if descending else '>'} ({', '.join(place)})")
        chosen = " AND ".join(filter(None, conditions))
        order = ", ".join(f"{key} {'DESC' if descending else 'ASC'}" for key in order_by)
        ranks = "".join(f', {sql} AS "{to_camel(key)}"' for key, sql in self._ranks.items())
        found = f"SELECT {self._computed}{ranks} FROM {self.name} WHERE {chosen} ORDER BY {order}"  # noqa: S608
        keys = ", ".join(f'shown."{to_camel(key)}"' for key in self.keys)
        json = (
            "row_to_json(shown)" if not ranks else f"(to_jsonb(shown) - ARRAY{[*map(to_camel, self._ranks)]})"
        )
        return f"SELECT {keys}, {json}::text FROM ({found} LIMIT %(take)s) AS shown"  # noqa: S608

    def _column(self, name: str) -> str:
        return f'{self.name}."{self.columns[name].name}"'

    def _conditions(self, where: Iterable[str], many: frozenset[str], trashed: bool = False) -> str:
        conditions = [
            self._where.get(name)
            or f"{self._column(name)} = " + (f"ANY(%({name})s)" if name in many else f"%({name})s")
            for name in where
        ]
        if "deleted_at" in self.columns and not trashed:
            conditions.append(f"{self._column('deleted_at')} IS NULL")
        return " AND ".join(conditions)

    def _columns(self, shown: dict[str, str]) -> str:
        fields = {"_id": f"{self.name}.id"} if issubclass(self.read, Read) else {}
        for name, field in self.read.model_fields.items():
            fields[field.serialization_alias or name] = shown.pop(name, "") or self._value(name)
        if shown:
            raise ValueError(f"{self.read.__name__} has no field {', '.join(shown)}")
        return ", ".join(f'{sql} AS "{alias}"' for alias, sql in fields.items())

    def _value(self, name: str) -> str:
        kind = self.columns[name].type
        if isinstance(kind, DateTime):
            return timestamp_sql(self._column(name))
        if isinstance(kind, Numeric) and kind.asdecimal:
            return f"{self._column(name)}::float8"
        return self._column(name)
