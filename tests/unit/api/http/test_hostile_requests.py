"""Requests of hostile input over all operations, by the thousand: each is answered, and none with a bug."""

import copy
import json
import random
from collections.abc import Iterator, Sequence
from typing import Any, Final

import httpx
import pytest

from kit.ids import new_id
from tests.support.operations import PRIVATE, Operation

REQUESTS: Final = 10_000
WORDS: Final[Sequence[str]] = (
    "",
    " ",
    "\x00",
    "\x1b[2J\r\nSet-Cookie: a=b",
    "'; DROP TABLE run; --",
    "%' OR '1'='1",
    "../../../../etc/passwd",
    "{{7*7}}${jndi:ldap://x}",
    "%s%n%00",
    "<script>alert(1)</script>",
    "💥\u202e\ufeff" * 20,
    "a" * 5_000,
    "http://169.254.169.254/latest/meta-data",
    "git@github.com:o/r.git;id",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59",
    "NaN",
    "1e400",
    "null",
)
VALUES: Final[Sequence[Any]] = (
    *WORDS,
    None,
    True,
    0,
    -1,
    2**31,
    2**63,
    10**400,
    1e308,
    [],
    {},
    "a" * 1_000_000,
    [[[[]]]],
    ["x"] * 5_000,
    {"$ref": "#"},
    {"__proto__": {"a": 1}, "": ""},
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in a body."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in items:
        yield from places(part, (*path, key))


def spoiled(chance: random.Random, body: Any) -> Any:
    """A body in which one to three things are something else."""
    body = copy.deepcopy(body)
    for _ in range(chance.randint(1, 3)):
        place = chance.choice([*places(body)])
        if not place:
            if chance.random() < 0.1:
                return chance.choice(VALUES)
            continue
        parent = body
        for key in place[:-1]:
            parent = parent[key]
        parent[place[-1]] = copy.deepcopy(chance.choice(VALUES))
    return body


def hostile(chance: random.Random, operation: Operation, ids: Sequence[str]) -> httpx.Request:
    """One request: ids of this and of other things, words where words were, and something else where not."""
    path = operation.path.replace("{id}", chance.choice(ids))
    given = [parameter["name"] for parameter in operation.query_parameters if chance.random() < 0.5]
    query = {name: chance.choice((*WORDS, *ids, "0", "-1", "99999999999999999999")) for name in given}
    if "id" in query and chance.random() < 0.7:
        query["id"] = chance.choice(ids)
    headers = {
        name: chance.choice(("x", "*", '"', "a" * 300, "00000000-0000-0000-0000-000000000000"))
        for name in ("Idempotency-Key", "If-Match", "If-None-Match", "X-API-Version", "X-Request-ID")
        if chance.random() < 0.1
    }
    content = None
    if operation.body is not None:
        content = json.dumps(spoiled(chance, operation.body)).encode("utf-8", "surrogatepass")
        headers["Content-Type"] = "application/json"
    return httpx.Request(
        operation.method, f"http://test{path}", params=query, headers=headers, content=content
    )


@pytest.fixture
async def ids(client: httpx.AsyncClient, run_body: dict[str, str]) -> list[str]:
    """Of things that there are, of things that there are not, and of nothing."""
    run = (await client.post("/runs/start", json=run_body)).json()["data"]["id"]
    return [run, run_body["workflowId"], new_id("r"), new_id("s"), "x", "r_" + "0" * 31]


@pytest.mark.soak
async def test_ten_thousand_hostile_requests(worker: None, client: httpx.AsyncClient, ids: list[str]) -> None:
    chance = random.Random(14)
    closed = [one for one in PRIVATE if "text/event-stream" not in str(one.spec["responses"])]
    for number in range(REQUESTS):
        operation = closed[number % len(closed)]
        request = hostile(chance, operation, ids)
        request.headers.update({"Authorization": client.headers["Authorization"]})
        answer = await client.send(request)
        asked = f"{request.method} {request.url}"[:300]
        assert answer.status_code != 500, f"{asked} {request.content[:500]!r}: {answer.text[:500]}"
        if answer.status_code >= 400:
            assert answer.json()["error"]["code"] != "INTERNAL", asked
