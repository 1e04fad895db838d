"""Rate limits: of a key across processes, of an address without one, of a project's streams."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from sqlalchemy import event, text

from api.http.rate_limits import RateLimits, address_of
from kit.database import Database
from kit.errors import AuthInvalid, RateLimited
from kit.ids import new_id
from kit.settings import Settings
from kit.tenancy import EVERY_PROJECT, DatabaseRole
from kit.token_bucket import Bucket, Rate
from models.projects.rate_bucket import take_tokens
from tests.conftest import ProjectKey, make_project
from tests.support.uvicorn_server import run_app
from tests.support.waiting import TEST_TIMEOUT_SECONDS, wait_until
from tests.unit.api.conftest import client_of, running

SLOW = Rate(5, 3600)
"""So slow that nothing comes back during a test."""


@asynccontextmanager
async def asking(
    settings: Settings, project: ProjectKey | None = None, **update: object
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application of its own: as good as another process."""
    async with running(settings.model_copy(update=update)) as app, client_of(app, project) as client:
        yield client


async def statuses(client: httpx.AsyncClient, times: int, path: str = "/whoami") -> list[int]:
    return [(await client.get(path)).status_code for _ in range(times)]


def guess() -> dict[str, str]:
    return {"Authorization": "Bearer cc_live_" + secrets.token_urlsafe(32)}


async def row(database: Database, key_id: str) -> Any:
    """The bucket of a key, with the transaction that wrote it; None if there is none."""
    async with database.read_only() as session:
        found = text("SELECT xmin::text, granted, full_at FROM rate_bucket WHERE key_id = :id")
        return (await session.execute(found, {"id": key_id})).one_or_none()


async def buckets(database: Database) -> set[tuple[str, str]]:
    """Every bucket, with the transaction that wrote it."""
    async with database.read_only() as session:
        return {
            (row[0], row[1])
            for row in await session.execute(text("SELECT key_id, xmin::text FROM rate_bucket"))
        }


async def test_two_processes_share_the_bucket_of_a_key(api_settings: Settings, project: ProjectKey) -> None:
    async with (
        asking(api_settings, project, rate_limit_per_key=SLOW) as here,
        asking(api_settings, project, rate_limit_per_key=SLOW) as there,
    ):
        assert await statuses(here, 3) == [200] * 3
        assert await statuses(there, 4) == [200, 200, 429, 429]
        assert await statuses(here, 2) == [429, 429]


async def test_many_at_once_get_no_more_than_there_is(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    rate = Rate(200, 36_000)
    async with (
        asking(api_settings, project, rate_limit_per_key=rate) as here,
        asking(api_settings, project, rate_limit_per_key=rate) as there,
        asking(api_settings, await make_project(database), rate_limit_per_key=rate) as other,
    ):
        tries = [client.get("/whoami") for client in [here, there] * 150]
        found = [answer.status_code for answer in await asyncio.gather(*tries)]
        assert (found.count(200), found.count(429)) == (200, 100)
        assert await statuses(other, 1) == [200], "each key has its own"


async def test_a_refusal_says_when_to_try_again(api_settings: Settings, project: ProjectKey) -> None:
    async with asking(api_settings, project, rate_limit_per_key=SLOW) as client:
        first = await client.get("/whoami")
        assert first.headers["RateLimit-Policy"] == '"key";q=5;w=3600'
        assert first.headers["RateLimit"] == '"key";r=4;t=720'
        assert "Retry-After" not in first.headers
        scarce = await client.get("/runs/get", params={"id": "r_x"})
        assert (scarce.status_code, scarce.headers["RateLimit"]) == (404, '"key";r=3;t=720')
        await statuses(client, 3)
        refused = await client.get("/whoami")
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["retryable"]) == (429, "RATE_LIMITED", True)
        assert 1 <= int(refused.headers["Retry-After"]) <= 720
        assert refused.headers["RateLimit"] == f'"key";r=0;t={refused.headers["Retry-After"]}'
        assert refused.headers["RateLimit-Policy"] == '"key";q=5;w=3600'
        assert error["requestId"] == refused.headers["X-Request-ID"]


async def test_what_was_refused_comes_back(api_settings: Settings, project: ProjectKey) -> None:
    async with asking(api_settings, project, rate_limit_per_key=Rate(2, 2)) as client:
        answers = await asyncio.gather(*(client.get("/whoami") for _ in range(20)))
        waits = [int(answer.headers["Retry-After"]) for answer in answers if answer.status_code == 429]
        await asyncio.sleep(max(waits))
        assert await statuses(client, 1) == [200]


async def test_most_requests_write_nothing(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    async with asking(api_settings, project, rate_limit_per_key=Rate(1000, 36_000)) as client:
        await statuses(client, 1)
        first = await row(database, project.key_id)
        assert first.granted == 10
        await statuses(client, 9)
        assert await row(database, project.key_id) == first
        await statuses(client, 1)
        assert (await row(database, project.key_id)).full_at > first.full_at
        assert (await client.get("/whoami")).headers["RateLimit"].startswith('"key";r=988;')


async def test_a_flood_is_refused_without_asking_the_row(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    async with asking(api_settings, project, rate_limit_per_key=SLOW) as client:
        assert (await statuses(client, 6))[-1] == 429
        empty = await row(database, project.key_id)
        assert await statuses(client, 50) == [429] * 50
        assert await row(database, project.key_id) == empty


async def test_off_means_off(api_settings: Settings, project: ProjectKey, database: Database) -> None:
    off = {"rate_limit_per_key": None, "rate_limit_per_address": None}
    async with asking(api_settings, project, **off) as client:
        answer = await client.get("/whoami")
        assert answer.status_code == 200
        assert not {"ratelimit", "ratelimit-policy"} & answer.headers.keys()
        assert (await client.get("/whoami", headers=guess())).status_code == 401
    assert await row(database, project.key_id) is None


async def test_who_has_no_key_is_counted_by_address_and_writes_nothing(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    settings = api_settings.model_copy(update={"rate_limit_per_address": Rate(8, 3600)})
    async with running(settings) as app, client_of(app, project) as client:
        assert await statuses(client, 20) == [200] * 20, "who has a key is not counted by address"
        begun, before = list[object](), await buckets(database)
        event.listen(app.state.api.database.engine.sync_engine, "begin", begun.append)
        answers = [await client.get("/whoami", headers=guess()) for _ in range(6)]
        assert {answer.status_code for answer in answers} == {401}
        assert answers[-1].headers["RateLimit"] == '"address";r=2;t=450'
        anonymous = {"Authorization": ""}
        answers = [await client.get("/whoami", headers=anonymous) for _ in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert answers[-1].headers["RateLimit-Policy"] == '"address";q=8;w=3600'
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 450
        assert begun == []
        assert await buckets(database) == before
        assert await statuses(client, 3) == [200] * 3, "a key that was seen to be valid"


async def test_webhooks_are_counted_by_address_and_probes_are_not(api_settings: Settings) -> None:
    async with asking(api_settings, rate_limit_per_address=Rate(2, 3600)) as client:
        hooks = [await client.post("http://test/github/webhook", content=b"{}") for _ in range(3)]
        assert [answer.status_code for answer in hooks] == [404, 404, 429]
        for path in ("healthz", "readyz"):
            answer = await client.get(f"http://test/{path}")
            assert answer.status_code == 200
            assert "RateLimit" not in answer.headers


async def test_a_valid_key_that_is_new_costs_its_address_nothing(
    api_settings: Settings, database: Database
) -> None:
    async with asking(api_settings, rate_limit_per_address=Rate(1, 3600)) as client:
        for _ in range(3):
            answer = await client.get("/whoami", headers=(await make_project(database)).headers)
            assert answer.status_code == 200
            assert answer.headers["RateLimit"].startswith('"key";')


def scope_of(host: str | None) -> dict[str, Any]:
    return {"type": "http", "client": (host, 1) if host is not None else None}


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("unknown", "unknown"),
        ("x" * 500, "x" * 100),
        (None, ""),
    ],
)
def test_addresses(host: str | None, address: str) -> None:
    assert address_of(scope_of(host)) == address


async def test_refusal_of_an_address_is_delayed(
    api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that those who guess without a pause take little from everybody else."""
    monkeypatch.setattr("api.http.rate_limits.REFUSAL_DELAY_SECONDS", 0.5)
    async with asking(api_settings, rate_limit_per_address=Rate(1, 3600)) as client:
        assert (await client.get("/whoami")).status_code == 401
        begun = time.monotonic()
        assert (await client.get("/whoami")).status_code == 429
        assert time.monotonic() - begun >= 0.5


async def test_what_is_remembered_of_addresses_is_bounded(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that were unseen for longest are forgotten first."""
    monkeypatch.setattr("api.http.rate_limits.MAX_BUCKETS", 3)
    limits = RateLimits(database, per_key=None, per_address=Rate(1, 3600), streams=None)
    for host in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        await limits.charge_address(scope_of(host))
    with pytest.raises(RateLimited):
        await limits.charge_address(scope_of("192.0.2.1"))
    await limits.charge_address(scope_of("192.0.2.4"))
    assert [*limits._addresses] == ["192.0.2.3", "192.0.2.1", "192.0.2.4"]


async def test_the_statement_says_what_the_rule_says(database: Database) -> None:
    """A row and `kit.token_bucket.Bucket`, step by step."""
    rate, key_id = Rate(10, 36_000), (await make_project(database)).key_id
    bucket = Bucket(0.0)
    for wanted in (3, 1, 4, 5, 1):
        expected = bucket.take(0.0, rate, wanted)
        assert await take_tokens(database, key_id, rate, wanted) == (expected, bucket.available(0.0, rate))
    async with database.transaction() as session:
        back = text(
            "UPDATE rate_bucket SET full_at = full_at - make_interval(secs => 9000) WHERE key_id = :id"
        )
        await session.execute(back, {"id": key_id})
    assert await take_tokens(database, key_id, rate, 9) == (bucket.take(9000.0, rate, 9), 0) == (2, 0)


@pytest.mark.parametrize("role", DatabaseRole)
async def test_a_key_that_is_gone_has_no_bucket(settings: Settings, role: DatabaseRole) -> None:
    database = Database(settings.sqlalchemy_url, role=role)
    try:
        with pytest.raises(AuthInvalid):
            await take_tokens(database.for_project(EVERY_PROJECT), new_id("kak"), SLOW, 1)
    finally:
        await database.close()


async def test_a_project_has_so_many_streams(
    api_settings: Settings, project: ProjectKey, database: Database
) -> None:
    async with (
        running(api_settings.model_copy(update={"streams_per_project": 2})) as app,
        run_app(app) as url,
        httpx.AsyncClient(
            base_url=f"{url}/api/v1", headers=project.headers, timeout=TEST_TIMEOUT_SECONDS
        ) as client,
    ):
        follow = {"follow": "true"}
        async with client.stream("GET", "/events", params=follow) as first:
            async with client.stream("GET", "/events", params=follow) as second:
                assert {first.status_code, second.status_code} == {200}
                refused = await client.get("/events", params=follow)
                assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
                assert int(refused.headers["Retry-After"]) > 0
                assert refused.headers["RateLimit-Policy"].endswith('"streams";q=2;qu="concurrent-requests"')
                assert '"streams";r=0;t=' in refused.headers["RateLimit"]
                assert (await client.get("/events")).status_code == 200, "pages are no streams"
                stranger = (await make_project(database)).headers
                async with client.stream("GET", "/events", params=follow, headers=stranger) as other:
                    assert other.status_code == 200
            limits: RateLimits = app.state.api.rate_limits
            await wait_until(lambda: limits._streams[project.id] <= 1)
            async with client.stream("GET", "/events", params=follow) as third:
                assert third.status_code == 200
