"""`codecourier projects`, `members`, `keys` and `hooks`: what operators make, on the database alone."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from typer.testing import CliRunner, Result

import cli.main  # noqa: F401  # puts its commands into the program
from cli.console import app as program
from kit.crypto import signature
from kit.ids import new_id
from kit.settings import Settings
from local.stack.postgres import Postgres
from tests.unit.api.conftest import client_of, running

NAMES = {name.upper() for name in Settings.model_fields}


class Operator:
    """Types commands where no stack runs, with the database's address in the environment."""

    def __init__(self, directory: Path, url: str, keys: str | None = None) -> None:
        self.directory, self.url, self.keys = directory, url, keys

    def ran(self, *words: str) -> Result:
        environment = {**dict.fromkeys(NAMES), "DATABASE_URL": self.url or None, "ENCRYPTION_KEYS": self.keys}
        ran = CliRunner().invoke(program, [*words, "--data", str(self.directory)], env=environment)
        assert ran.exception is None or isinstance(ran.exception, SystemExit), ran.exception
        return ran

    def __call__(self, *words: str) -> dict[str, str]:
        """What a command made, by the names of its lines."""
        ran = self.ran(*words)
        assert ran.exit_code == 0, ran.stderr
        assert "\x1b" not in ran.stdout, "no colours in a pipe"
        return dict(line.split(maxsplit=1) for line in ran.stdout.splitlines())

    async def later(self, *words: str) -> dict[str, str]:
        """The same from a test that has a loop of its own."""
        return await asyncio.to_thread(self, *words)

    def refused(self, *words: str) -> str:
        ran = self.ran(*words)
        assert (ran.exit_code, ran.stdout) == (1, ""), ran.stdout + ran.stderr
        return " ".join(ran.stderr.split())


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[FastAPI]:
    """The API of the same database."""
    async with running(settings) as app:
        yield app


@pytest.fixture
def operator(tmp_path: Path, postgres: Postgres) -> Operator:
    return Operator(tmp_path, postgres.url)


def slug() -> str:
    return new_id("shop").replace("_", "-")


async def ask(app: FastAPI, key: str, path: str) -> httpx.Response:
    async with client_of(app) as client:
        return await client.get(path, headers={"Authorization": f"Bearer {key}"})


async def test_a_second_project_is_made_without_sql(operator: Operator, app: FastAPI) -> None:
    name, repo = slug(), "https://github.com/acme/shop"
    made = await operator.later(
        "projects",
        "create",
        "Web shop",
        "--slug",
        name,
        "--repo",
        repo,
        "--owner-email",
        "Ada@Acme.dev",
        "--owner-name",
        "Ada",
    )
    assert (made["Slug"], made["Owner"], made["Repository"]) == (name, "Ada <ada@acme.dev>", repo)
    project = (await ask(app, made["Secret"], "/project")).json()["data"]
    assert (project["id"], project["name"], project["githubRepoUrl"]) == (made["Project"], "Web shop", repo)
    who = (await ask(app, made["Secret"], "/whoami")).json()["data"]
    assert (who["id"], who["memberId"], len(who["scopes"])) == (made["Key"], made["Member"], 27)
    listed = (await asyncio.to_thread(operator.ran, "projects", "list")).stdout.splitlines()
    assert f"{name}\t{made['Project']}\tWeb shop\tada@acme.dev\t{repo}\tacme/shop" in listed
    assert made["Secret"] not in "".join(listed)

    bob = await operator.later(
        "members", "add", "--project", name, "--email", "bob@acme.dev", "--role", "member"
    )
    by_id = ("--project", made["Project"], "--member", "BOB@acme.dev")
    key = await operator.later("keys", "create", *by_id, "--scope", "projects:read", "--expires-in", "30")
    assert (key["Scopes"], key["Role"]) == ("projects:read", "member")
    assert "T" in key["Expires"]
    mine = (await ask(app, key["Secret"], "/whoami")).json()["data"]
    assert (mine["memberId"], mine["scopes"]) == (bob["Member"], ["projects:read"])
    team = (await ask(app, made["Secret"], "/project/members")).json()["data"]
    assert [(each["id"], each["role"], each["status"]) for each in team] == [
        (made["Member"], "owner", "accepted"),
        (bob["Member"], "member", "accepted"),
    ]
    [joined] = (await ask(app, made["Secret"], "/notifications")).json()["data"]
    assert joined["title"] == "bob joined the project"


def test_repositories_are_allowed_and_disallowed(operator: Operator) -> None:
    name = slug()
    operator("projects", "create", "Shop", "--slug", name, "--owner-email", "a@b.c")
    assert operator("projects", "allow", name, "Acme/Shop")["Allowed"] == "acme/shop"
    both = operator("projects", "allow", name, "acme/*")
    assert both["Allowed"] == "acme/*, acme/shop"
    again = operator.ran("projects", "allow", both["Project"], "acme/*")
    assert "allowed before" in again.stderr
    left = operator("projects", "disallow", name, "ACME/*")
    assert left["Allowed"] == "acme/shop"
    assert operator("projects", "disallow", name, "acme/shop")["Allowed"] == "–"
    assert "not on the list" in operator.ran("projects", "disallow", name, "acme/shop").stderr
    assert "owner/name" in operator.refused("projects", "allow", name, "*/shop")
    assert "codecourier projects list" in operator.refused("projects", "allow", "no-such", "acme/shop")


def test_a_quota_is_shown_and_set(operator: Operator) -> None:
    name = slug()
    operator("projects", "create", "Shop", "--slug", name, "--owner-email", "a@b.c")
    assert operator("projects", "quota", name)["Model"].endswith("limit: as the settings say")
    limited = operator("projects", "quota", name, "--model-usd", "50", "--sandboxes", "5")
    assert limited["Model"].startswith("0.00 USD spent this month; limit: 50")
    assert limited["Sandboxes"].startswith("0 jobs have one at work; limit: 5")
    other = operator("projects", "quota", name, "--model-usd", "default", "--sandboxes", "none")
    assert other["Model"].endswith("limit: as the settings say")
    assert other["Sandboxes"].endswith("limit: none")
    assert "model_usd" in operator.refused("projects", "quota", name, "--model-usd", "much")
    assert "sandboxes" in operator.refused("projects", "quota", name, "--sandboxes", "0")


def test_a_refusal_names_the_next_step(operator: Operator) -> None:
    name = slug()
    create = ("projects", "create", "Shop", "--slug", name, "--owner-email", "a@b.c")
    operator(*create)
    taken = operator.refused(*create)
    assert f"The slug '{name}' is taken" in taken
    assert "--slug" in taken
    there = operator.refused("members", "add", "--project", name, "--email", "A@b.c")
    assert "is a member already, as owner" in there
    assert "codecourier keys create" in there
    nobody = operator.refused("keys", "create", "--project", name, "--member", "x@y.z")
    assert "codecourier members add" in nobody
    nowhere = operator.refused("keys", "create", "--project", "no-such", "--member", "x@y.z")
    assert "codecourier projects list" in nowhere


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("projects", "create", " ", "--owner-email", "a@b.c"), "name"),
        (("projects", "create", "N", "--owner-email", "nobody"), "email"),
        (("projects", "create", "N", "--owner-email", "a@b.c", "--slug", "Not A Slug"), "slug"),
        (("projects", "create", "N", "--owner-email", "a@b.c", "--repo", "ftp://x/y/z"), "--repo"),
        (("members", "add", "--project", "p", "--email", "a@b.c", "--role", "boss"), "role"),
        (("keys", "create", "--project", "p", "--member", "a@b.c", "--scope", "runs:fly"), "runs:fly"),
    ],
)
def test_what_cannot_be_is_named(operator: Operator, words: tuple[str, ...], named: str) -> None:
    assert named in operator.refused(*words)


def test_without_a_database_it_says_what_to_do(operator: Operator) -> None:
    operator.url = "postgresql://me:pass-word@127.0.0.1:9/mine"
    unreachable = operator.refused("projects", "list")
    assert "correct DATABASE_URL" in unreachable
    assert "pass-word" not in unreachable
    operator.url = ""
    assert "DATABASE_URL is not set" in operator.refused("projects", "list")


async def test_an_empty_database_is_told_to_migrate(operator: Operator, postgres: Postgres) -> None:
    name = new_id("empty")
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(f"CREATE DATABASE {name}".encode())
    operator.url = postgres.url.rsplit("/", 1)[0] + f"/{name}"
    assert "codecourier migrate" in await asyncio.to_thread(operator.refused, "projects", "list")


async def test_commands_say_that_the_workers_role_is_refused(operator: Operator, postgres: Postgres) -> None:
    """As with the API's address, which its container has."""
    name = new_id("stranger")
    async with await psycopg.AsyncConnection.connect(postgres.url, autocommit=True) as connection:
        await connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'strange'".encode())
    operator.url = (
        urlsplit(postgres.url)._replace(netloc=f"{name}:strange@127.0.0.1:{postgres.port}").geturl()
    )
    refused = await asyncio.to_thread(operator.refused, "projects", "list")
    assert "may not take on the role codecourier_worker" in refused


async def test_a_hook_is_made_rotated_and_deleted(
    operator: Operator, app: FastAPI, settings: Settings
) -> None:
    """What it prints is what the API opens."""
    name = slug()
    await operator.later("projects", "create", "Shop", "--slug", name, "--owner-email", "ada@acme.dev")
    assert "ENCRYPTION_KEYS" in await asyncio.to_thread(operator.refused, "hooks", "create", "-p", name)
    operator.keys = settings.encryption_keys.get_secret_value()
    made = await operator.later("hooks", "create", "-p", name, "--description", "acme/shop")
    rotated = await operator.later("hooks", "rotate", made["Hook"])
    assert (rotated["Path"], rotated["Secret"] == made["Secret"]) == (made["Path"], False)
    listed = await asyncio.to_thread(operator.ran, "hooks", "list", "-p", name)
    assert listed.stdout == f"{made['Hook']}\t{made['Path']}\tacme/shop\n"

    async def status(secret: str) -> int:
        headers = {"X-Hub-Signature-256": f"sha256={signature(secret, b'{}')}", "X-GitHub-Event": "ping"}
        async with client_of(app) as client:
            answer = await client.post(f"http://test{made['Path']}", content=b"{}", headers=headers)
        return answer.status_code

    assert [await status(each) for each in (made["Secret"], rotated["Secret"], "x")] == [200, 200, 401]
    assert (await operator.later("hooks", "delete", made["Hook"])) == {"Deleted": made["Hook"]}
    assert await status(rotated["Secret"]) == 404
    assert "no such hook" in await asyncio.to_thread(operator.refused, "hooks", "rotate", made["Hook"])
