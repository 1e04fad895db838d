"""Lists are read page by page, and the pages hold together whatever happens meanwhile."""

from typing import Any

import httpx
import pytest
from sqlalchemy import update
from sqlmodel import col

from api.http.pagination import CursorCodec
from kit.database import Database
from models import Persona
from models.base import now


async def make(client: httpx.AsyncClient, count: int) -> list[str]:
    """So many personas; their ids, newest first."""
    ids = [
        (await client.post("/personas/create", json={"name": str(index), "type": "judge"})).json()["data"][
            "id"
        ]
        for index in range(count)
    ]
    return ids[::-1]


async def page(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer = await client.get("/personas/list", params=query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def scan(client: httpx.AsyncClient, **query: Any) -> list[str]:
    ids: list[str] = []
    while True:
        found = await page(client, **query)
        ids += [row["id"] for row in found["data"]]
        assert found["hasMore"] == (found["nextCursor"] is not None)
        if not found["hasMore"]:
            return ids
        query["cursor"] = found["nextCursor"]


async def test_a_list_is_read_to_its_end(client: httpx.AsyncClient) -> None:
    ids = await make(client, 7)
    for limit in (1, 2, 3, 6, 7, 8, 100):
        assert await scan(client, limit=limit) == ids
    assert (await page(client, limit=7))["hasMore"] is False
    assert len((await page(client, limit=6))["data"]) == 6


async def test_what_comes_and_goes_during_a_scan(client: httpx.AsyncClient, database: Database) -> None:
    ids = await make(client, 6)
    first = await page(client, limit=2)
    await make(client, 2)
    async with database.transaction() as session:
        gone = update(Persona).where(col(Persona.id).in_([ids[0], ids[3]]))
        await session.execute(gone.values(deleted_at=now()))
    rest = await scan(client, limit=2, cursor=first["nextCursor"])
    assert [row["id"] for row in first["data"]] + rest == [ids[0], ids[1], ids[2], ids[4], ids[5]]
    assert (await client.get("/personas/get", params={"id": ids[3]})).status_code == 404


async def test_the_usual_size_of_a_page(client: httpx.AsyncClient) -> None:
    await make(client, 26)
    assert len((await page(client))["data"]) == 25
    for index in range(51):
        await client.post("/workflows/create", json={"name": str(index)})
    assert len((await client.get("/workflows/list")).json()["data"]) == 50
    assert len((await client.get("/workflows")).json()["data"]) == 50


async def test_a_cursor_belongs_to_one_list(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    await make(client, 3)
    cursor = (await page(client, limit=1))["nextCursor"]
    assert set(cursor) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    assert (await client.get("/personas", params={"cursor": cursor})).status_code == 200
    foreign = [
        (client, "/runs/list", {}),
        (client, "/workflows/list", {}),
        (stranger, "/personas/list", {}),
        (client, "/personas/list", {"type": "judge"}),
    ]
    for sender, path, more in foreign:
        answer = await sender.get(path, params={"cursor": cursor, **more})
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, "cursor")


@pytest.mark.parametrize("place", [[1], ["a", "b"], [None], [{}], ["\0"], [-1], [2**40]])
def test_a_forged_place_is_refused(place: object) -> None:
    """Even with a right mark: the mark tells lists apart, it is no secret."""
    forged = CursorCodec("list", [str, str]).encode(place)  # type: ignore[arg-type]
    with pytest.raises(Exception, match="not one of this list"):
        CursorCodec("list", [str]).decode(forged)


def test_a_cursor_survives_the_round_trip() -> None:
    cursors = CursorCodec(["x", {"a": 1}], [str, int])
    assert cursors.decode(cursors.encode(["id_1", 42])) == ["id_1", 42]
