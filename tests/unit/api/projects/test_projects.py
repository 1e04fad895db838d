"""A project, its settings and its provider keys."""

import httpx
import pytest
from sqlalchemy import text

from kit.crypto import Vault
from kit.database import Database
from kit.settings import Settings
from models import Project
from tests.conftest import ProjectKey

CANARY = "canary-7f3a9c-secret"


async def update(client: httpx.AsyncClient, **body: object) -> httpx.Response:
    return await client.post("/project/settings/update", json=body)


async def test_a_project_is_changed_field_by_field(client: httpx.AsyncClient, project: ProjectKey) -> None:
    before = (await client.get("/project")).json()["data"]
    assert before["id"] == before["_id"] == project.id
    url = "https://github.com/org/repo"
    after = await client.post("/project/update", json={"name": "Shop", "githubRepoUrl": url})
    assert after.json()["data"] == {**before, "name": "Shop", "githubRepoUrl": url}
    cleared = await client.post("/project/update", json={"githubRepoUrl": None})
    assert cleared.json()["data"] == {**before, "name": "Shop"}
    assert (await client.get("/projects")).json()["data"] == [cleared.json()["data"]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", None),
        ("name", ""),
        ("slug", "Not A Slug"),
        ("githubRepoUrl", "not a repository"),
        ("githubRepoUrl", "https://evil.example/org/repo"),
        ("githubRepoUrl", 7),
    ],
)
async def test_what_a_project_cannot_be(client: httpx.AsyncClient, field: str, value: object) -> None:
    answer = await client.post("/project/update", json={field: value})
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_a_slug_belongs_to_one_project(client: httpx.AsyncClient, stranger: httpx.AsyncClient) -> None:
    taken = (await stranger.get("/project")).json()["data"]["slug"]
    answer = await client.post("/project/update", json={"slug": taken})
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "CONFLICT")


async def test_settings_change_field_by_field(client: httpx.AsyncClient, project: ProjectKey) -> None:
    before = (await client.get("/project/settings")).json()["data"]
    after = (await update(client, claudeMd="# Rules", gitCommitName="Robo")).json()["data"]
    assert after == {**before, "claudeMd": "# Rules", "gitCommitName": "Robo"}
    assert (await update(client, claudeMd=None)).json()["data"] == {**before, "gitCommitName": "Robo"}
    assert (await client.get("/project/settings")).json()["data"]["id"] == project.id


async def test_egress_changes_field_by_field(client: httpx.AsyncClient, project: ProjectKey) -> None:
    default = {"work": "everything", "checks": "list", "scans": "list", "hosts": []}
    assert (await client.get("/project/settings")).json()["data"]["egress"] == default
    hosts = ["example.com", "*.example.org"]
    await update(client, egress={"hosts": hosts, "scans": "off"})
    after = (await update(client, egress={"work": "list"})).json()["data"]["egress"]
    assert after == {"work": "list", "checks": "list", "scans": "off", "hosts": hosts}


async def test_variables_are_merged_and_secret_ones_never_shown(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, settings: Settings
) -> None:
    secret = {"value": CANARY, "isSecret": True}
    answer = await update(client, envVars={"A": "1", "TOKEN": secret, "B": {"value": "2"}})
    shown = answer.json()["data"]["envVars"]
    assert shown == {
        "A": {"value": "1", "isSecret": False},
        "B": {"value": "2", "isSecret": False},
        "TOKEN": {"value": None, "isSecret": True},
    }
    merged = await update(client, envVars={"A": None, "C": "3"})
    assert list(merged.json()["data"]["envVars"]) == ["B", "C", "TOKEN"]
    assert CANARY not in answer.text + merged.text + (await client.get("/project/settings")).text
    async with database.transaction() as session:
        row = await session.get_one(Project, project.id)
        assert CANARY not in str((await session.execute(text("SELECT env_vars FROM project"))).all())
    vault = Vault(settings.encryption_keys.get_secret_value())
    assert vault.open(str(row.env_vars["TOKEN"]["value"])) == CANARY


async def test_secret_values_are_bounded_in_all(client: httpx.AsyncClient) -> None:
    secret = {"value": "x" * 32_768, "isSecret": True}
    assert (await update(client, envVars={"A": secret, "B": secret})).status_code == 200
    refused = (await update(client, envVars={"C": {"value": "y", "isSecret": True}})).json()["error"]
    assert refused["field"] == "envVars"
    assert "would have 65,537 bytes, and may have 65,536" in refused["message"]
    plain = await update(client, envVars={"C": "y" * 32_768, "B": None, "D": secret})
    assert list(plain.json()["data"]["envVars"]) == ["A", "C", "D"]
    many_lines = {"value": "x\n" * 1_001, "isSecret": True}
    refused = (await update(client, envVars={"A": None, "D": None, "E": many_lines})).json()["error"]
    assert "1,001 lines" in refused["message"]


async def test_a_project_has_at_most_200_variables_in_all(client: httpx.AsyncClient) -> None:
    assert (await update(client, envVars={f"A{index}": "x" for index in range(200)})).status_code == 200
    refused = (await update(client, envVars={"B": "x"})).json()["error"]
    assert (refused["field"], "at most 200" in refused["message"]) == ("envVars", True)
    assert (await update(client, envVars={"A0": None, "B": "x"})).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "path",
        "HOME",
        "LD_PRELOAD",
        "GIT_SSH_COMMAND",
        "GITHUB_TOKEN",
        "ANTHROPIC_API_KEY",
        "E2B_X",
        "CODECOURIER_X",
        "BASH_ENV",
        "1A",
        "A-B",
        "A B",
        "",
        "A=B",
        "Ä",
        "A" * 129,
    ],
)
async def test_names_that_are_not_for_users(client: httpx.AsyncClient, name: str) -> None:
    answer = await update(client, envVars={name: "x"})
    assert answer.status_code == 400
    assert answer.json()["error"]["field"].startswith("envVars")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"envVars": {"A": 1}}, "envVars.A"),
        ({"envVars": {"A": {"isSecret": True}}}, "envVars.A.value"),
        ({"envVars": {"A": {"value": "x", "secret": True}}}, "envVars.A.secret"),
        ({"envVars": {f"A{index}": "x" for index in range(201)}}, "envVars"),
        ({"gitCommitEmail": "nobody"}, "gitCommitEmail"),
        ({"gitCommitName": "a\nb"}, "gitCommitName"),
        ({"gitCommitName": None}, "gitCommitName"),
        ({"learningConfig": []}, "learningConfig"),
        ({"egress": {"work": "anywhere"}}, "egress.work"),
        ({"egress": {"hosts": ["https://example.com"]}}, "egress.hosts.0"),
        ({"egress": None}, "egress"),
    ],
)
async def test_settings_that_cannot_be(client: httpx.AsyncClient, body: object, field: str) -> None:
    answer = await client.post("/project/settings/update", json=body)
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)


async def test_provider_keys(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, database: Database
) -> None:
    first = await client.post(
        "/project/provider-keys/set", json={"provider": "anthropic", "key": f"sk-{CANARY}-1111"}
    )
    assert (first.status_code, first.json()["data"]["lastFour"]) == (200, "1111")
    second = await client.post(
        "/project/provider-keys/set", json={"provider": "anthropic", "key": f"sk-{CANARY}-2222"}
    )
    assert second.json()["data"]["id"] == first.json()["data"]["id"]
    listed = await client.get("/project/provider-keys")
    assert [key["lastFour"] for key in listed.json()["data"]] == ["2222"]
    assert CANARY not in first.text + second.text + listed.text
    async with database.transaction() as session:
        assert CANARY not in str((await session.execute(text("SELECT * FROM provider_key"))).all())
    body = {"provider": "anthropic"}
    assert (await stranger.post("/project/provider-keys/delete", json=body)).status_code == 404
    assert (await client.post("/project/provider-keys/delete", json=body)).status_code == 200
    assert (await client.post("/project/provider-keys/delete", json=body)).status_code == 404
    assert (await client.get("/project/provider-keys")).json()["data"] == []


@pytest.mark.parametrize(
    ("provider", "key"), [("gitlab", "x" * 20), ("github", "short"), ("github", "a b" * 9)]
)
async def test_provider_keys_that_cannot_be(client: httpx.AsyncClient, provider: str, key: str) -> None:
    answer = await client.post("/project/provider-keys/set", json={"provider": provider, "key": key})
    assert answer.status_code == 400
    assert key not in answer.text
