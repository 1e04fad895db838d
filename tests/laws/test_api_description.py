"""Laws that hold for every operation and every error, however many there are."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from api.openapi.export import ALL_ROUTES, COMMITTED_FILE, document
from kit import errors
from kit.errors import AppError
from kit.schemas import contains_secret_field
from models.projects.api_key import SCOPES
from tests.support.operations import LISTS, OPENAPI, OPERATIONS, PRIVATE, WITH_BODY, Operation

each = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
AGREED = Path(__file__).with_name("endpoints.tsv")
"""The specification's list of operations: section, method, path (ids as `:id`), scope, origin, note."""
ADDED = {
    ("GET", "/api/v1/events"): "projects:read",
    ("PUT", "/api/v1/files/{id}/content"): "public",
    ("GET", "/api/v1/webhooks/deliveries/{id}"): "projects:read",
    ("POST", "/api/v1/webhooks/endpoints/{id}/resend"): "projects:write",
    ("GET", "/api/v1/project/budget"): "projects:read",
    ("PUT", "/api/v1/project/budget"): "projects:write",
    ("PUT", "/api/v1/runs/{id}/budget"): "runs:write",
    ("PUT", "/api/v1/sprint-chains/{id}/budget"): "chains:write",
    ("PUT", "/api/v1/work-chains/{id}/budget"): "chains:write",
    ("PUT", "/api/v1/merging/{id}/budget"): "github:write",
    ("GET", "/api/v1/github/hooks"): "projects:read",
    ("POST", "/api/v1/github/hooks"): "projects:write",
    ("GET", "/api/v1/github/hooks/{id}"): "projects:read",
    ("DELETE", "/api/v1/github/hooks/{id}"): "projects:write",
    ("POST", "/api/v1/github/hooks/{id}/rotate-secret"): "projects:write",
    ("POST", "/github/webhook/{id}"): "public",
}
"""Operations of ours that the specification does not list, with their scopes."""
SHOWING_SECRETS = {
    "generateApiKey",
    "createWebhookEndpoint",
    "rotateWebhookSecret",
    "createGithubHook",
    "rotateGithubHookSecret",
    "createUploadUrl",
}


def test_the_committed_description_is_the_live_one() -> None:
    assert COMMITTED_FILE.read_bytes() == document(), (
        "run `python -m api.openapi` and commit docs/openapi.json"
    )
    assert OPENAPI["openapi"].startswith("3.1.")


def test_operation_ids_are_unique() -> None:
    counted = Counter(operation.id for operation in OPERATIONS)
    assert [name for name, count in counted.items() if count > 1] == []
    assert len(OPERATIONS) == len(ALL_ROUTES)


def test_every_agreed_operation_is_there_with_its_scope() -> None:
    with AGREED.open() as file:
        rows = list(csv.reader(file, delimiter="\t"))[1:]
    agreed = {(method, re.sub(r":(\w+)", r"{\1}", path)): scope for _, method, path, scope, *_ in rows}
    assert len(agreed) == 223
    there = {(operation.method, operation.path): _scope(operation) for operation in OPERATIONS}
    assert there == agreed | ADDED


def test_every_answer_that_shows_a_secret_is_known_as_one() -> None:
    """So that no copy of it is kept for repeats."""
    answers = {route.operation_id: route.response_model for route in ALL_ROUTES}
    showing = {name for name, shape in answers.items() if shape and contains_secret_field(_content(shape))}
    assert showing == SHOWING_SECRETS
    for operation in PRIVATE:
        name = str((operation.schema or {}).get("$ref", "")).rsplit("/", 1)[-1].removeprefix("Envelope_")
        properties = OPENAPI["components"]["schemas"].get(name.rstrip("_"), {}).get("properties", {})
        assert "secret" not in properties or operation.id in showing, operation


def _content(shape: Any) -> object:
    """Of an envelope."""
    arguments = shape.__pydantic_generic_metadata__["args"]
    return arguments[0] if arguments else None


def _scope(operation: Operation) -> str:
    """In the words of the specification."""
    if "x-scopes" in operation.spec:
        return "the entity's own (projects:read to list)"
    return operation.scope or ("public" if operation.is_public else "any key")


@each
def test_an_operation_describes_itself(operation: Operation) -> None:
    spec = operation.spec
    assert re.fullmatch(r"[a-z][A-Za-z]+", operation.id)
    assert 5 <= len(spec["summary"]) <= 120, "one sentence, which is the first of the handler's docstring"
    assert spec["tags"]
    assert operation.scope is None or operation.scope in SCOPES
    for code in spec["responses"]:
        if code >= "400":
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
    whole = {**schema, "components": OPENAPI["components"]}
    jsonschema.validate(operation.body, whole, cls=jsonschema.Draft202012Validator)
    named = OPENAPI["components"]["schemas"][schema["$ref"].rsplit("/", 1)[-1]]
    assert named["additionalProperties"] is False, "unknown fields are refused"


@pytest.mark.parametrize("operation", LISTS, ids=str)
def test_every_list_is_a_page(operation: Operation) -> None:
    names = {parameter["name"] for parameter in operation.parameters}
    assert {"limit", "cursor"} <= names


@each
def test_every_parameter_has_a_description(operation: Operation) -> None:
    assert [one["name"] for one in operation.parameters if not one.get("description")] == []


def test_every_schema_and_every_property_has_a_description() -> None:
    schemas = OPENAPI["components"]["schemas"]
    properties = [
        (f"{schema}.{name}", part)
        for schema, whole in schemas.items()
        for name, part in whole.get("properties", {}).items()
    ]
    assert len(properties) > 1_000
    assert [name for name, part in [*schemas.items(), *properties] if not part.get("description")] == []


def test_every_tag_has_a_description() -> None:
    described = {tag["name"] for tag in OPENAPI["tags"] if tag["description"]}
    assert {tag for operation in OPERATIONS for tag in operation.spec["tags"]} == described


def test_nothing_answers_a_bare_list() -> None:
    """Lists come as pages; arrays are only found within an object."""
    for operation in PRIVATE:
        name = str((operation.schema or {}).get("$ref", "")).rsplit("/", 1)[-1]
        if name.startswith("Envelope_"):
            data = OPENAPI["components"]["schemas"][name]["properties"]["data"]
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
