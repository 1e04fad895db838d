"""Links do to connections what they say, and nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI

from tests.chaos.network_links import Direction, Link, opened_link, response
from tests.support.uvicorn_server import run_app


@asynccontextmanager
async def counted() -> AsyncIterator[tuple[Link, httpx.AsyncClient, list[str]]]:
    """A server behind a link, a client of it, and what the server was asked to make."""
    app, made = FastAPI(), list[str]()

    @app.post("/things/{name}")
    async def make(name: str) -> str:
        made.append(name)
        return name

    async with (
        run_app(app) as url,
        opened_link(urlsplit(url)) as link,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{link.door}", trust_env=False, timeout=2) as client,
    ):
        yield link, client, made


async def test_a_link_passes_everything_on() -> None:
    async with counted() as (_, client, made):
        for path in ("/things/1", "/things/2"):
            assert (await client.post(path)).status_code == 200
        assert made == ["1", "2"]


async def test_an_answer_is_lost_after_its_effect_as_often_as_asked() -> None:
    async with counted() as (link, client, made):
        lost = link.lose_answer(rb"POST /things/2 ", times=1)
        assert (await client.post("/things/1")).status_code == 200
        with pytest.raises(httpx.TransportError):
            await client.post("/things/2")
        assert (await client.post("/things/2")).status_code == 200
        assert (made, lost.seen) == (["1", "2", "2"], 1)


async def test_a_refused_request_never_reaches_the_server_and_a_misreported_one_does() -> None:
    async with counted() as (link, client, made):
        link.refuse(rb"POST /things/1 ", response(429, headers="Retry-After: 7\r\n"))
        link.misreport(rb"POST /things/2 ", response(502))
        refused, misreported = await client.post("/things/1"), await client.post("/things/2")
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
        assert misreported.status_code == 502
        assert made == ["2"]


@pytest.mark.parametrize(("way", "is_made"), [(Direction.there, False), (Direction.back, True)])
async def test_what_is_held_arrives_once_the_link_is_healed(way: Direction, is_made: bool) -> None:
    async with counted() as (link, client, made):
        link.hold(way)
        asking = asyncio.create_task(client.post("/things/1"))
        await asyncio.sleep(0.5)
        assert (made, asking.done()) == (["1"] if is_made else [], False)
        link.heal()
        assert (await asking).status_code == 200
        assert made == ["1"]


async def test_a_link_that_is_down_ends_connections_and_lets_none_be_made() -> None:
    async with counted() as (link, client, made):
        assert (await client.post("/things/1")).status_code == 200
        link.take_down()
        with pytest.raises(httpx.TransportError):
            await client.post("/things/2")
        link.heal()
        assert (await client.post("/things/3")).status_code == 200
        assert made == ["1", "3"]
