"""Every operation of the API as data, so that a law can be tried on all of them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from api.openapi.export import COMMITTED_FILE
from kit.ids import new_id

OPENAPI: dict[str, Any] = json.loads(COMMITTED_FILE.read_text())
"""The committed one: a law holds it against the live one, which takes seconds to make."""


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    """With `{id}` for an id."""
    spec: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def id(self) -> str:
        return str(self.spec["operationId"])

    @property
    def is_public(self) -> bool:
        return not self.spec["security"]

    @property
    def scope(self) -> str | None:
        scopes = [scope for entry in self.spec["security"] for scope in entry["ProjectKey"]]
        return scopes[0] if scopes else None

    @property
    def success(self) -> tuple[int, dict[str, Any]]:
        """The status and the response of success."""
        status = next(code for code in self.spec["responses"] if code.startswith("2"))
        return int(status), self.spec["responses"][status]

    @property
    def schema(self) -> dict[str, Any] | None:
        """Of a successful answer, with its references resolvable; None where it is no JSON of ours."""
        found = self.success[1].get("content", {}).get("application/json", {}).get("schema")
        return {**found, "components": OPENAPI["components"]} if found else None

    @property
    def is_list(self) -> bool:
        schema = self.schema or {}
        name = str(schema.get("$ref", "")).rsplit("/", 1)[-1]
        return name.startswith("Page_") or name.endswith("Page")

    @property
    def body(self) -> Any:
        """The example of its body; None when it takes none."""
        content = self.spec.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("example")

    @property
    def parameters(self) -> list[dict[str, Any]]:
        """Those of its own, and those that many operations share."""
        shared = OPENAPI["components"]["parameters"]
        return [
            shared[parameter["$ref"].rsplit("/", 1)[-1]] if "$ref" in parameter else parameter
            for parameter in self.spec.get("parameters", [])
        ]

    @property
    def query_parameters(self) -> list[dict[str, Any]]:
        return [parameter for parameter in self.parameters if parameter["in"] == "query"]

    @property
    def wrong_types(self) -> Iterator[tuple[tuple[str, ...], object]]:
        """Paths of the booleans and integers in its body, each with a value of another type."""
        schema = self.spec["requestBody"]["content"]["application/json"]["schema"]
        return _wrong_types(schema, ())

    @property
    def needs_body(self) -> bool:
        return bool(self.spec.get("requestBody", {}).get("required"))

    @property
    def url(self) -> str:
        """Its path with an unknown id, and its required query parameters with unknown values."""
        required = [parameter for parameter in self.query_parameters if parameter["required"]]
        values = {"string": new_id("r"), "integer": "1"}
        query = "&".join(f"{one['name']}={values[one['schema']['type']]}" for one in required)
        return re.sub(r"\{id\}", new_id("r"), self.path) + (f"?{query}" if query else "")


def _wrong_types(schema: dict[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    if "$ref" in schema:
        schema = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    match schema.get("type"):
        case "boolean":
            yield path, 0
        case "integer":
            yield path, "1"
        case "object":
            for name, part in schema.get("properties", {}).items():
                yield from _wrong_types(part, (*path, name))
    for option in schema.get("anyOf", ()):
        yield from _wrong_types(option, path)


OPERATIONS = [
    Operation(method.upper(), path, spec)
    for path, operations in OPENAPI["paths"].items()
    for method, spec in operations.items()
]
PRIVATE = [operation for operation in OPERATIONS if not operation.is_public]
WITH_BODY = [operation for operation in PRIVATE if operation.body is not None]
LISTS = [operation for operation in OPERATIONS if operation.is_list]
