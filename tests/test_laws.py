"""Laws that hold for every operation and every error, however many there are."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from api.openapi import COMMITTED, EVERY_ROUTE, document
from kit import errors
from kit.errors import AppError
from models.api_key import SCOPES
from tests.api.operations import DESCRIPTION, LISTS, OPERATIONS, PRIVATE, WITH_BODY, Operation

each = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
AGREED = Path(__file__).with_name("operations.tsv")
"""method, path and scope of every operation, as the specification names them."""


def test_the_committed_description_is_the_live_one() -> None:
    assert COMMITTED.read_bytes() == document(), "run `python -m api.openapi` and commit docs/openapi.json"
    assert DESCRIPTION["openapi"].startswith("3.1.")


def test_operation_ids_are_unique() -> None:
    counted = Counter(operation.id for operation in OPERATIONS)
    assert [name for name, count in counted.items() if count > 1] == []
    assert len(OPERATIONS) == len(EVERY_ROUTE)


def test_every_agreed_operation_is_there_with_its_scope() -> None:
    with AGREED.open() as file:
        agreed = {(row["method"], row["path"]): row["scope"] for row in csv.DictReader(file, delimiter="\t")}
    there = {
        (operation.method, operation.path): operation.scope
        or ("public" if operation.is_public else "any key")
        for operation in OPERATIONS
    }
    assert there == agreed


@each
def test_an_operation_describes_itself(operation: Operation) -> None:
    spec = operation.spec
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation.id)
    assert 5 <= len(spec["summary"]) <= 120, "one sentence, which is the first of the handler's docstring"
    assert spec["tags"]
    assert operation.scope is None or operation.scope in SCOPES
    for code in spec["responses"]:
        if not code.startswith("2"):
            reference = spec["responses"][code]["content"]["application/json"]["schema"]["$ref"]
            assert reference.endswith("/ErrorEnvelope")
    assert "422" not in spec["responses"]
    assert {"500", "503"} <= spec["responses"].keys()
    assert operation.is_public or {"400", "401", "403", "404"} <= spec["responses"].keys()


@pytest.mark.parametrize("operation", [one for one in OPERATIONS if one.schema], ids=str)
def test_its_example_fits_its_schema(operation: Operation) -> None:
    example = operation.success[1]["content"]["application/json"]["example"]
    jsonschema.validate(example, operation.schema or {}, cls=jsonschema.Draft202012Validator)
    for thing in _objects(example):
        assert ("id" in thing) == ("_id" in thing)
        assert thing.get("id") == thing.get("_id")


@pytest.mark.parametrize("operation", WITH_BODY, ids=str)
def test_its_body_has_an_example_that_fits(operation: Operation) -> None:
    schema = operation.spec["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": DESCRIPTION["components"]}
    jsonschema.validate(operation.body, whole, cls=jsonschema.Draft202012Validator)
    named = DESCRIPTION["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    assert named["additionalProperties"] is False, "unknown fields are refused"


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_every_list_is_a_page(operation: Operation) -> None:
    names = {parameter["name"] for parameter in operation.spec["parameters"]}
    assert {"limit", "cursor"} <= names


def test_nothing_answers_a_bare_list() -> None:
    """Lists come as pages; arrays are only found within an object."""
    for operation in PRIVATE:
        name = str((operation.schema or {}).get("$ref", "")).rsplit("/", 1)[-1]
        if name.startswith("Envelope_"):
            data = DESCRIPTION["components"]["schemas"][name]["properties"]["data"]
            assert data.get("type") != "array", operation


def test_every_error_has_its_own_code_and_status() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AppError)]
    kinds.remove(AppError)
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert {kind.retryable for kind in kinds if kind.status >= 500 or kind.status == 429} == {True}
    assert not any(kind.retryable for kind in kinds if kind.status < 429)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Every object of the API within an answer; what users wrote themselves is not ours to shape."""
    if isinstance(value, list):
        for item in value:
            yield from _objects(item)
    elif isinstance(value, dict):
        yield value
        for name, item in value.items():
            if (
                name not in ("payload", "data", "workflowGraph", "envVars", "learningConfig")
                or "data" not in value
            ):
                yield from _objects(item)
