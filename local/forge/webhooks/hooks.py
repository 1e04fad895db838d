"""Webhooks: a repository's own, and the one of the whole forge, as a GitHub App has it."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local.forge.errors import Invalid, NotFound
from local.forge.store.database import Database, now
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer
from local.forge.webhooks.events import Event, enqueue_delivery, new_guid

HookConfig = Mapping[str, str]
INSTALLATION_ID = 1
"""Id of the one installation of the forge's app, which the payloads of its hook carry."""


@dataclass(frozen=True)
class Hook:
    """A row of `hooks`; `repository_id` is None for the one of the whole forge.

    config: `url`, `content_type` (json or form), `insecure_ssl` ("1": any certificate will do), `secret`.
    """

    id: int
    repository_id: int | None
    config: HookConfig
    events: list[str]
    active: bool
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Hook":
        fields = dict(row)
        config, events = json.loads(fields["config"]), json.loads(fields["events"])
        return cls(**fields | {"config": config, "events": events, "active": bool(fields["active"])})

    def shape(self, site: Viewer, repo: Repository | None, last: sqlite3.Row | None) -> Json:
        """GitHub's hook; `last`: its newest delivery."""
        shown = {name: value for name, value in self.config.items() if name != "secret"}
        secret = {"secret": "********"} if "secret" in self.config else {}
        whole: Json = {
            "type": "Repository" if repo else "App",
            "id": self.id,
            "name": "web",
            "active": self.active,
            "events": self.events,
            "config": shown | secret,
            "created_at": self.created_at,
            "updated_at": self.updated_at,
        }
        if repo is None:
            return whole | {"app_id": INSTALLATION_ID}
        url = f"{site.repo_api(repo)}/hooks/{self.id}"
        return whole | {
            "url": url,
            "test_url": f"{url}/tests",
            "ping_url": f"{url}/pings",
            "deliveries_url": f"{url}/deliveries",
            "last_response": last_response(last),
        }


@dataclass(frozen=True)
class HookSettings:
    """What a hook is to be."""

    config: HookConfig
    events: list[str]
    active: bool


async def add(repo: Repository, wish: HookSettings, by: str) -> Hook:
    """A new hook of a repository; it is sent a ping at once, as on GitHub."""

    def insert(connection: sqlite3.Connection) -> Hook:
        for row in connection.execute("SELECT * FROM hooks WHERE repository_id = ?", (repo.id,)):
            other = Hook.of(row)
            if other.config == wish.config and set(other.events) & set(wish.events):
                raise Invalid.custom("Hook", "Hook already exists on this repository")
        hook = Hook.of(insert_hook(connection, repo.id, wish))
        enqueue_ping(connection, hook, by)
        return hook

    return await repo.db.transaction(insert)


def insert_hook(connection: sqlite3.Connection, repository_id: int | None, wish: HookSettings) -> sqlite3.Row:
    time = now()
    row: sqlite3.Row = connection.execute(
        "INSERT INTO hooks (repository_id, config, events, active, created_at, updated_at)"
        " VALUES (?, ?, ?, ?, ?, ?) RETURNING *",
        (repository_id, json.dumps(wish.config), json.dumps(wish.events), wish.active, time, time),
    ).fetchone()
    return row


def enqueue_ping(connection: sqlite3.Connection, hook: Hook, by: str) -> None:
    """Queues a ping, whatever the hook asked for."""
    enqueue_delivery(connection, hook.id, hook.repository_id, Event("ping", None, by, {}), new_guid())


async def of_repository(repo: Repository) -> list[Hook]:
    """Every hook of a repository, oldest first."""
    rows = await repo.db.all("SELECT * FROM hooks WHERE repository_id = ? ORDER BY id", repo.id)
    return [Hook.of(row) for row in rows]


async def get(repo: Repository, key: int) -> Hook:
    """One hook of a repository by its id."""
    row = await repo.db.one("SELECT * FROM hooks WHERE repository_id = ? AND id = ?", repo.id, key)
    if row is None:
        raise NotFound
    return Hook.of(row)


async def edit(repo: Repository, hook: Hook, wish: HookSettings) -> Hook:
    """Another target, other events, on or off."""
    await repo.db.all(
        "UPDATE hooks SET config = ?, events = ?, active = ?, updated_at = ? WHERE id = ?",
        *(json.dumps(wish.config), json.dumps(wish.events), wish.active, now(), hook.id),
    )
    return await get(repo, hook.id)


async def remove(repo: Repository, key: int) -> None:
    """Takes a hook away, and with it what it was still to be sent."""
    hook = await get(repo, key)
    await repo.db.all("DELETE FROM hooks WHERE id = ?", hook.id)


async def configure_app_hook(db: Database, url: str | None, secret: str | None, by: str) -> None:
    """The hook of the whole forge: what the command line says now counts; None switches it off.

    It is pinged when it is new or goes somewhere else, and keeps its id, its queue and its log.
    """
    config = {"url": url or "", "content_type": "json", "insecure_ssl": "0"}
    config |= {"secret": secret} if secret else {}

    def settle(connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT * FROM hooks WHERE repository_id IS NULL").fetchone()
        if url is None:
            connection.execute("UPDATE hooks SET active = 0 WHERE repository_id IS NULL")
        elif row is None:
            enqueue_ping(
                connection,
                Hook.of(insert_hook(connection, None, HookSettings(config, ["*"], active=True))),
                by,
            )
        else:
            hook = Hook.of(row)
            connection.execute(
                "UPDATE hooks SET config = ?, active = 1, updated_at = ? WHERE id = ?",
                (json.dumps(config), now(), hook.id),
            )
            if hook.config["url"] != url or not hook.active:
                enqueue_ping(connection, hook, by)

    await db.transaction(settle)


def last_response(last: sqlite3.Row | None) -> Json:
    """How the newest delivery went."""
    if last is None:
        return {"code": None, "status": "unused", "message": None}
    word = (
        "active" if last["status"] == "OK" else "missing" if last["status_code"] == 404 else "misconfigured"
    )
    return {"code": last["status_code"], "status": word, "message": last["status"]}


async def last_deliveries(db: Database, hooks: Sequence[Hook]) -> dict[int, sqlite3.Row]:
    """The newest finished delivery of each hook."""
    rows = await db.all(
        "SELECT * FROM deliveries WHERE id IN (SELECT max(id) FROM deliveries WHERE delivered_at IS NOT NULL"
        " AND hook_id IN (SELECT value FROM json_each(?)) GROUP BY hook_id)",
        json.dumps([hook.id for hook in hooks]),
    )
    return {row["hook_id"]: row for row in rows}
