"""What the specification says of every request, tried on every operation."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.http.request import MAX_BODY_BYTES
from kit.database import Database
from kit.ids import new_id
from models import ApiKey
from models.base import now
from models.projects.api_key import SCOPES
from tests.conftest import ProjectKey, make_project
from tests.support.operations import LISTS, OPERATIONS, PRIVATE, WITH_BODY, Operation
from tests.unit.api.conftest import client_of

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNKNOWN = "Bearer cc_live_" + "x" * 43
every = pytest.mark.parametrize("operation", OPERATIONS, ids=str)
private = pytest.mark.parametrize("operation", PRIVATE, ids=str)
bodied = pytest.mark.parametrize("operation", WITH_BODY, ids=str)
listing = pytest.mark.parametrize("operation", LISTS, ids=str)


@pytest.fixture
async def anonymous(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(app) as client:
        yield client


def required(operation: Operation) -> dict[str, str]:
    query = operation.url.partition("?")[2]
    return dict(pair.split("=") for pair in query.split("&")) if query else {}


def url(operation: Operation) -> str:
    return f"http://test{operation.url}"


def code(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["code"])


@private
async def test_without_a_key(anonymous: httpx.AsyncClient, operation: Operation) -> None:
    answer = await anonymous.request(operation.method, url(operation), content=b"{not json")
    assert (answer.status_code, code(answer)) == (401, "AUTH_MISSING")
    assert answer.json()["error"]["requestId"] == answer.headers["X-Request-ID"]
    assert "retryable" not in answer.json()["error"]


@private
@pytest.mark.parametrize("header", [UNKNOWN, "Bearer cc_live_short", "Basic abc", "Bearer", "cc_live_x", ""])
async def test_with_a_key_that_is_none(
    anonymous: httpx.AsyncClient, operation: Operation, header: str
) -> None:
    answer = await anonymous.request(operation.method, url(operation), headers={"Authorization": header})
    assert (answer.status_code, code(answer)) == (401, "AUTH_INVALID")


@private
async def test_other_headers_are_no_key(
    anonymous: httpx.AsyncClient, operation: Operation, project: ProjectKey
) -> None:
    headers = {"X-API-Key": project.key, "Cookie": f"Authorization={project.key}"}
    answer = await anonymous.request(operation.method, url(operation), headers=headers)
    assert (answer.status_code, code(answer)) == (401, "AUTH_MISSING")


@pytest.mark.parametrize("operation", [one for one in PRIVATE if one.scope], ids=str)
async def test_without_its_scope(app: FastAPI, database: Database, operation: Operation) -> None:
    """Refused before the body is read or any row is looked for."""
    scopes = [scope for scope in SCOPES if scope != operation.scope]
    async with client_of(app, await make_project(database, scopes=scopes)) as client:
        path = url(operation).replace("r_", "run_")
        answer = await client.request(operation.method, path, content=b"{not json")
        assert (answer.status_code, code(answer)) == (403, "SCOPE_DENIED")
        message = f"This key does not have the required '{operation.scope}' scope."
        assert answer.json()["error"]["message"] == message
        old = await client.request(operation.method, path, headers={"X-API-Version": "1"})
        assert (old.status_code, old.json()) == (403, {"error": message})


@private
async def test_the_old_form_of_errors(anonymous: httpx.AsyncClient, operation: Operation) -> None:
    answer = await anonymous.request(operation.method, url(operation), headers={"X-API-Version": "1"})
    assert answer.status_code == 403
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)


@pytest.mark.parametrize("operation", [one for one in PRIVATE if "{id}" in one.path], ids=str)
@pytest.mark.parametrize(
    "id", ["wf_" + "0" * 32, "r_short", "r_" + "g" * 32, "r_" + "0" * 33, "x", "%00", "r_" + "0" * 31 + "%0A"]
)
async def test_an_id_that_is_none(client: httpx.AsyncClient, operation: Operation, id: str) -> None:
    path = "http://test" + operation.path.replace("{id}", id)
    answer = await client.request(operation.method, path, json=operation.body)
    assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")


@pytest.mark.parametrize("operation", [one for one in PRIVATE if "id=" in one.url], ids=str)
@pytest.mark.parametrize("id", ["", "x", "r_%00", "'; DROP TABLE run; --", "💥"])
async def test_an_id_in_the_query_that_is_none(
    client: httpx.AsyncClient, operation: Operation, id: str
) -> None:
    query = {**required(operation), "id": id}
    answer = await client.get(f"http://test{operation.path}", params=query)
    assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
    del query["id"]
    without = await client.get(f"http://test{operation.path}", params=query)
    assert (without.status_code, without.json()["error"]["field"]) == (400, "id")


@bodied
async def test_a_field_that_there_is_not(client: httpx.AsyncClient, operation: Operation) -> None:
    answer = await client.request(operation.method, url(operation), json={**operation.body, "surprise": 1})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "VALIDATION", "surprise")


@bodied
@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b'{"a": NaN}', b'{"a": "\\ud800"}', b'{"a": "\\u0000"}'],
)
async def test_a_body_that_is_none(client: httpx.AsyncClient, operation: Operation, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.request(operation.method, url(operation), content=content, headers=headers)
    if content == b"" and not operation.needs_body:
        assert (answer.status_code, code(answer)) == (404, "NOT_FOUND"), answer.text
    else:
        assert (answer.status_code, code(answer)) == (400, "VALIDATION"), answer.text


@bodied
async def test_a_body_that_does_not_say_it_is_json(client: httpx.AsyncClient, operation: Operation) -> None:
    content = json.dumps(operation.body).encode()
    headers = {"Content-Type": "text/plain"}
    answer = await client.request(operation.method, url(operation), content=content, headers=headers)
    assert (answer.status_code, code(answer)) == (400, "VALIDATION")
    assert "application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize("operation", [one for one in PRIVATE if one.method != "GET"], ids=str)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large(
    client: httpx.AsyncClient, operation: Operation, chunked: bool
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 65536 + 1):
            yield b" " * 65536

    content = chunks() if chunked else b" " * (MAX_BODY_BYTES + 1)
    answer = await client.request(operation.method, url(operation), content=content)
    assert (answer.status_code, code(answer)) == (413, "PAYLOAD_TOO_LARGE")


@pytest.fixture(scope="module")
async def revoked(database: Database) -> str:
    """The header of a key that was revoked."""
    project = await make_project(database)
    async with database.transaction() as session:
        (await session.get_one(ApiKey, project.key_id)).revoked_at = now()
    return project.headers["Authorization"]


@private
async def test_revoked_key_is_refused(
    anonymous: httpx.AsyncClient, operation: Operation, revoked: str
) -> None:
    answer = await anonymous.request(
        operation.method, url(operation), headers={"Authorization": revoked}, content=b"{not json"
    )
    assert (answer.status_code, code(answer)) == (401, "AUTH_INVALID")


@pytest.mark.parametrize(
    ("operation", "name"),
    [(one, parameter["name"]) for one in PRIVATE for parameter in one.query_parameters],
    ids=str,
)
async def test_nul_in_a_query_parameter_is_refused(
    client: httpx.AsyncClient, operation: Operation, name: str
) -> None:
    answer = await client.request(
        operation.method, url(operation), params={**required(operation), name: "a\0"}, json=operation.body
    )
    assert answer.status_code in (400, 404), answer.text
    assert answer.status_code == 404 or answer.json()["error"]["field"] == name


@bodied
@pytest.mark.parametrize(
    "content", [b'{"a":' * 300 + b"1" + b"}" * 300, b'{"a": 1e400}', b"[" * 65 + b"]" * 65]
)
async def test_json_that_cannot_be_stored_is_refused(
    client: httpx.AsyncClient, operation: Operation, content: bytes
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client.request(operation.method, url(operation), content=content, headers=headers)
    assert (answer.status_code, code(answer)) == (400, "VALIDATION"), answer.text
    assert "not valid JSON" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("operation", "path", "wrong"),
    [(one, path, wrong) for one in WITH_BODY for path, wrong in one.wrong_types],
    ids=lambda value: str(value),
)
async def test_value_of_another_type_is_refused_by_its_field(
    client: httpx.AsyncClient, operation: Operation, path: tuple[str, ...], wrong: object
) -> None:
    """`0` is no boolean and `"1"` no integer, however deep within the body."""
    body = with_value(operation.body, path, wrong)
    answer = await client.request(operation.method, url(operation), json=body)
    assert (answer.status_code, code(answer)) == (400, "VALIDATION"), answer.text
    assert ".".join(path) in [fault["field"] for fault in answer.json()["error"]["errors"]]


def with_value(body: Any, path: tuple[str, ...], value: object) -> Any:
    """The body with another value at a path of names; objects on the way are made."""
    first, *rest = path
    inner = body.get(first)
    changed = with_value(inner if isinstance(inner, dict) else {}, tuple(rest), value) if rest else value
    return {**body, first: changed}


@listing
@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "abc", "1e9"])
async def test_a_limit_out_of_range(client: httpx.AsyncClient, operation: Operation, limit: str) -> None:
    answer = await client.get(url(operation), params={"limit": limit, **required(operation)})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "VALIDATION", "limit")


@pytest.mark.parametrize(
    "operation", [one for one in LISTS if not required(one) and "{id}" not in one.path], ids=str
)
@pytest.mark.parametrize("cursor", ["x", "AAAA", "💥", "%", "e30", "a" * 501, "MTIzNDU2W10"])
async def test_a_cursor_that_is_none(client: httpx.AsyncClient, operation: Operation, cursor: str) -> None:
    answer = await client.get(url(operation), params={"cursor": cursor})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["field"]) == (400, "VALIDATION", "cursor")


@every
async def test_every_answer_has_a_request_id_and_cors(
    anonymous: httpx.AsyncClient, operation: Operation
) -> None:
    mine = "5b2c1f0a-8e7d-4a4f-bb6d-f0a3c8a1e7e2"
    answer = await anonymous.request(operation.method, url(operation), headers={"X-Request-ID": mine})
    assert answer.headers["X-Request-ID"] == mine
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"X-Request-ID", "Retry-After", "RateLimit", "RateLimit-Policy"} <= set(exposed.split(", "))
    other = await anonymous.request(operation.method, url(operation), headers={"X-Request-ID": "x'--"})
    assert UUID.fullmatch(other.headers["X-Request-ID"])


@every
async def test_options_and_other_methods(anonymous: httpx.AsyncClient, operation: Operation) -> None:
    asked = await anonymous.options(url(operation))
    assert asked.status_code == 204
    assert operation.method in asked.headers["Access-Control-Allow-Methods"]
    refused = await anonymous.request("TRACE", url(operation))
    assert (refused.status_code, code(refused)) == (405, "METHOD_NOT_ALLOWED")
    assert operation.method in refused.headers["Allow"]


async def test_what_there_is_not(anonymous: httpx.AsyncClient) -> None:
    for path in (
        "/api/v1/nothing",
        "/",
        "/api/v1/runs/list/",
        "/api/v1/runs/x/y/z",
        "/docs",
        "/openapi.json",
    ):
        answer = await anonymous.get(f"http://test{path}")
        assert (answer.status_code, code(answer)) == (404, "NOT_FOUND")
        assert (await anonymous.options(f"http://test{path}")).status_code == 204


async def test_head_is_answered_like_get(client: httpx.AsyncClient) -> None:
    assert (await client.head("/project")).status_code == 200
    assert (await client.head("/runs/get", params={"id": new_id("r")})).status_code == 404


async def test_a_hundred_faults_are_named_at_most(client: httpx.AsyncClient) -> None:
    answer = await client.post("/personas/create", json={f"unknown{number}": 0 for number in range(1_000)})
    assert (answer.status_code, code(answer)) == (400, "VALIDATION")
    assert len(answer.json()["error"]["errors"]) == 100
