"""Contexts, skills, commands and scripts by REST: versions that never change, names that are unique."""

import asyncio
from typing import Any

import httpx
import pytest

from kit.database import Database
from models import Asset
from models.assets.asset import MAX_ASSETS_PER_KIND, AssetKind
from tests.conftest import ProjectKey
from tests.support.contract_client import BY_ID, ContractClient

Body = dict[str, Any]
TEXT, FILES = {"content": "First."}, {"files": [{"name": "SKILL.md", "content": "First."}]}
KINDS: dict[str, tuple[Body, Body, Body]] = {
    "context": ({"name": "Guide"}, TEXT, {"content": "Second."}),
    "skill": ({"name": "React & more"}, FILES, {"files": [{"name": "a/b.md", "content": "Second."}]}),
    "command": ({"name": "write-tests"}, TEXT, {"content": "Second."}),
    "script": ({"name": "set-up", "language": "bash"}, TEXT, {"content": "Second."}),
}
"""The least of each, what its first version holds, and another one."""
each = pytest.mark.parametrize("kind", KINDS)
published = pytest.mark.parametrize("kind", ["skill", "command", "script"])


async def created(client: httpx.AsyncClient, kind: str, **more: Any) -> Body:
    least, first, _ = KINDS[kind]
    answer = await client.post(f"/{kind}s", json={**least, **first, **more})
    assert answer.status_code == 201, answer.text
    asset: Body = answer.json()["data"]
    return asset


async def publish(client: httpx.AsyncClient, kind: str, id: str) -> httpx.Response:
    path = f"/{kind}s/{id}" if kind == "context" else f"/{kind}s/{id}/publish"
    return await client.put(path, json=KINDS[kind][2])


@each
async def test_an_asset_is_as_documented(client: httpx.AsyncClient, project: ProjectKey, kind: str) -> None:
    ask, noun = ContractClient(client), kind.capitalize()
    least, first, second = KINDS[kind]
    asset = await ask(f"create{noun}", {**least, "description": "For us."})
    assert (asset["activeVersion"], asset["versions"]) == (None, [])
    assert {name: asset[name] for name in least} == least
    if kind == "context":
        await ask("updateContext", first, path=asset["id"])
        asset = await ask("updateContext", second, path=asset["id"])
    else:
        await ask(f"publish{noun}", first, path=asset["id"])
        version = await ask(f"publish{noun}", second, path=asset["id"])
        assert (version["version"], version["isActive"]) == (2, True)
    asset = await ask(f"get{noun}", path=asset["id"])
    active = asset["activeVersion"]
    assert (active["version"], active["publishedBy"], asset["versions"]) == (2, project.member_id, [1, 2])
    assert {name: active[name] for name in second} == second
    asset = await ask(f"update{noun}", {"description": None}, path=asset["id"])
    assert (asset["description"], asset["versions"]) == (None, [1, 2])

    latest, earliest = await ask(f"list{noun}Versions", path=asset["id"])
    assert [each["isActive"] for each in (latest, earliest)] == [True, False]
    assert {name: earliest[name] for name in first} == first
    activated = await ask(f"activate{noun}Version", path=asset["id"], v="1")
    assert activated["activeVersion"] == 1
    assert (await ask(f"get{noun}", path=asset["id"]))["activeVersion"] == {**earliest, "isActive": True}
    assert await ask(f"activate{noun}Version", path=asset["id"], v="1") == activated

    [listed] = await ask(f"list{noun}s")
    assert (listed["id"], listed["activeVersion"]["version"]) == (asset["id"], 1)
    assert not {"content", "files"} & listed["activeVersion"].keys()
    assert (await ask(f"delete{noun}", path=asset["id"])) == listed
    assert (await client.get(f"/{kind}s/{asset['id']}")).status_code == 404
    assert await ask(f"list{noun}s") == []


@each
async def test_publishing_at_once_makes_as_many_versions(client: httpx.AsyncClient, kind: str) -> None:
    asset = await created(client, kind)
    answers = await asyncio.gather(*(publish(client, kind, asset["id"]) for _ in range(8)))
    assert {answer.status_code for answer in answers} == {200}
    asset = (await client.get(f"/{kind}s/{asset['id']}")).json()["data"]
    assert (asset["versions"], asset["activeVersion"]["version"]) == ([*range(1, 10)], 9)


@each
async def test_a_name_is_unique_within_its_kind(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, kind: str
) -> None:
    asset = await created(client, kind)
    least, _, _ = KINDS[kind]
    again = await client.post(f"/{kind}s", json=least)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    other = await created(client, kind, name="another")
    renamed = await client.put(f"/{kind}s/{other['id']}", json={"name": asset["name"]})
    assert renamed.status_code == 409
    await created(stranger, kind)
    await client.delete(f"/{kind}s/{asset['id']}")
    assert (await client.put(f"/{kind}s/{other['id']}", json={"name": asset["name"]})).status_code == 200


@each
async def test_another_projects_asset_is_unknown(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, kind: str
) -> None:
    asset = await created(client, kind)
    path = f"/{kind}s/{asset['id']}"
    answers = [
        await stranger.get(path),
        await stranger.get(f"{path}/versions"),
        await stranger.put(path, json={"name": "theirs"}),
        await publish(stranger, kind, asset["id"]),
        await stranger.put(f"{path}/versions/1/activate"),
        await stranger.delete(path),
        *[await client.get(f"/{other}s/{asset['id']}") for other in KINDS if other != kind],
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert (await client.get(path)).json()["data"] == asset
    assert (await stranger.get(f"/{kind}s")).json()["data"] == []


@each
@pytest.mark.parametrize("v", ["0", "2", "-1", "01", "1.0", "x", "%00", "1%0A", "9" * 30, "١"])
async def test_a_version_that_is_none(client: httpx.AsyncClient, kind: str, v: str) -> None:
    asset = await created(client, kind)
    answer = await client.put(f"/{kind}s/{asset['id']}/versions/{v}/activate")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@each
async def test_an_update_of_another_state_is_refused(client: httpx.AsyncClient, kind: str) -> None:
    asset = await created(client, kind)
    path = f"/{kind}s/{asset['id']}"
    tag = {"If-Match": (await client.get(path)).headers["ETag"]}
    assert (await client.put(path, json={"description": "Mine."}, headers=tag)).status_code == 200
    assert (await client.put(path, json={"description": "Late."}, headers=tag)).status_code == 412
    assert (await client.get(path)).json()["data"]["description"] == "Mine."


@each
async def test_versions_are_paged(client: httpx.AsyncClient, kind: str) -> None:
    asset = await created(client, kind)
    for _ in range(2):
        await publish(client, kind, asset["id"])
    path = f"/{kind}s/{asset['id']}/versions"
    first = (await client.get(path, params={"limit": 2})).json()
    assert ([version["version"] for version in first["data"]], first["hasMore"]) == ([3, 2], True)
    rest = (await client.get(path, params={"limit": 2, "cursor": first["nextCursor"]})).json()
    assert ([version["version"] for version in rest["data"]], rest["hasMore"]) == ([1], False)
    other = await created(client, kind, name="another")
    foreign = await client.get(f"/{kind}s/{other['id']}/versions", params={"cursor": first["nextCursor"]})
    assert (foreign.status_code, foreign.json()["error"]["field"]) == (400, "cursor")


async def test_a_context_is_trashed_with_its_versions(client: httpx.AsyncClient) -> None:
    asset = await created(client, "context")
    path = f"/contexts/{asset['id']}"
    assert (await client.delete(path)).status_code == 200
    for answer in (
        await client.get(path),
        await client.get(f"{path}/versions"),
        await client.put(path, json={"content": "More."}),
        await client.put(f"{path}/versions/1/activate"),
        await client.delete(path),
    ):
        assert answer.status_code == 404


@published
async def test_content_is_only_published(client: httpx.AsyncClient, kind: str) -> None:
    asset = await created(client, kind)
    _, first, _ = KINDS[kind]
    [field] = first
    refused = await client.put(f"/{kind}s/{asset['id']}", json=first)
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, field)
    nothing = await client.put(f"/{kind}s/{asset['id']}/publish", json={})
    assert (nothing.status_code, nothing.json()["error"]["field"]) == (400, field)


@pytest.mark.parametrize("kind", ["command", "script"])
@pytest.mark.parametrize(
    "name", ["", "Write", "a b", "-a", "a-", "a--b", "a_b", "a/b", "ä", "a\n", "x" * 101]
)
async def test_a_name_that_no_prompt_could_hold(client: httpx.AsyncClient, kind: str, name: str) -> None:
    least, _, _ = KINDS[kind]
    answer = await client.post(f"/{kind}s", json={**least, "name": name})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "name")


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        ("context", {"name": " "}, "name"),
        ("context", {"name": "x" * 201}, "name"),
        ("context", {"name": "x", "content": " \n"}, "content"),
        ("context", {"content": "x"}, "name"),
        ("skill", {"name": "\t"}, "name"),
        ("skill", {"name": "x", "files": []}, "files"),
        ("script", {"name": "x"}, "language"),
        ("script", {"name": "x", "language": "perl"}, "language"),
        ("command", {"name": "x", "language": "bash"}, "language"),
    ],
)
async def test_an_asset_that_cannot_be(client: httpx.AsyncClient, kind: str, body: Body, field: str) -> None:
    answer = await client.post(f"/{kind}s", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field), answer.text
    assert (await client.get(f"/{kind}s")).json()["data"] == []


async def test_a_project_has_a_bounded_number(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    async with database.transaction() as session:
        for number in range(MAX_ASSETS_PER_KIND):
            name = f"c-{number}"
            session.add(Asset.in_kind(AssetKind.command, project_id=project.id, name=name))
    refused = await client.post("/commands", json={"name": "one-more"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
    await created(client, "script")


def test_every_operation_of_the_family_is_there() -> None:
    tags = [operation.spec["tags"][0] for operation in BY_ID.values()]
    assert [tags.count(tag) for tag in ("Contexts", "Skills", "Commands", "Scripts")] == [7, 8, 8, 8]
