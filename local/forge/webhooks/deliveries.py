"""Deliveries: each a row that is first a place in its hook's queue and then a line of its log."""

import json
import sqlite3
from dataclasses import dataclass

from local.forge.errors import NotFound
from local.forge.store.database import Database
from local.forge.viewer import Json
from local.forge.webhooks.hooks import INSTALLATION_ID, Hook

MAX_FINISHED_DELIVERIES = 500
"""Finished deliveries of one hook that stay readable."""
SUMMARY_FIELDS = (
    *("id", "guid", "delivered_at", "duration", "status", "status_code", "event", "action", "repository_id"),
)


@dataclass(frozen=True)
class Delivery:
    """A row of `deliveries`; what comes after `redelivery` is None until it was sent.

    facts: what the payload is made of, once; duration: in seconds; headers: JSON.
    """

    id: int
    hook_id: int
    repository_id: int | None
    guid: str
    event: str
    action: str | None
    sender: str
    facts: str
    payload: str | None
    redelivery: bool
    delivered_at: str | None
    duration: float | None
    status: str | None
    status_code: int | None
    url: str | None
    request_headers: str | None
    response_headers: str | None
    response_body: str | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Delivery":
        fields = dict(row)
        return cls(**fields | {"redelivery": bool(fields["redelivery"])})

    def item(self, hook: Hook) -> Json:
        """GitHub's short form."""
        whole: Json = {name: getattr(self, name) for name in SUMMARY_FIELDS}
        whole["redelivery"] = self.redelivery
        whole["installation_id"] = None if hook.repository_id else INSTALLATION_ID
        return whole | {"throttled_at": None}

    def shape(self, hook: Hook) -> Json:
        """GitHub's long form: with what was sent and what came back."""
        return self.item(hook) | {
            "url": self.url,
            "request": {
                "headers": json.loads(self.request_headers or "null"),
                "payload": json.loads(self.payload or "null"),
            },
            "response": {
                "headers": json.loads(self.response_headers or "{}"),
                "payload": self.response_body or "",
            },
        }


@dataclass(frozen=True)
class Outcome:
    """How an attempt went; `status` is OK or the reason why not."""

    at: str
    duration: float
    status: str
    status_code: int
    url: str
    request_headers: str
    response_headers: str
    response_body: str


async def hooks_with_pending_deliveries(db: Database) -> set[int]:
    """The hooks that have something to be sent."""
    rows = await db.all("SELECT DISTINCT hook_id FROM deliveries WHERE delivered_at IS NULL")
    return {row["hook_id"] for row in rows}


async def pending_deliveries(db: Database, hook_id: int, limit: int) -> tuple[Hook, list[Delivery]] | None:
    """What this hook is to be sent next, in order; None when its queue is empty or it is gone."""
    hook = await db.one("SELECT * FROM hooks WHERE id = ?", hook_id)
    rows = await db.all(
        "SELECT * FROM deliveries WHERE hook_id = ? AND delivered_at IS NULL ORDER BY id LIMIT ?",
        *(hook_id, limit),
    )
    return (Hook.of(hook), [Delivery.of(row) for row in rows]) if hook and rows else None


async def save_payload(db: Database, delivery: Delivery, payload: str) -> None:
    """The payload as it is sent, and sent again: made once, so that every attempt has the same bytes."""
    await db.all("UPDATE deliveries SET payload = ?, facts = '{}' WHERE id = ?", payload, delivery.id)


async def record_outcome(db: Database, delivery: Delivery, outcome: Outcome) -> None:
    """Records how it went, whichever way: nothing is sent again by itself. Drops the oldest of a long log."""

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE deliveries SET delivered_at = ?, duration = ?, status = ?, status_code = ?, url = ?,"
            " request_headers = ?, response_headers = ?, response_body = ? WHERE id = ?",
            (*vars(outcome).values(), delivery.id),
        )
        connection.execute(
            "DELETE FROM deliveries WHERE hook_id = ? AND delivered_at IS NOT NULL AND id <= (SELECT id FROM"
            " deliveries WHERE hook_id = ? AND delivered_at IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?)",
            (delivery.hook_id, delivery.hook_id, MAX_FINISHED_DELIVERIES),
        )

    await db.transaction(write)


async def list_finished(db: Database, hook: Hook, limit: int, before: int | None) -> list[Delivery]:
    """Finished deliveries, newest first, from below an id on."""
    rows = await db.all(
        "SELECT * FROM deliveries WHERE hook_id = ? AND delivered_at IS NOT NULL AND id < ?"
        " ORDER BY id DESC LIMIT ?",
        *(hook.id, before or 2**62, limit),
    )
    return [Delivery.of(row) for row in rows]


async def get(db: Database, hook: Hook, key: int) -> Delivery:
    """One finished delivery."""
    row = await db.one(
        "SELECT * FROM deliveries WHERE hook_id = ? AND id = ? AND delivered_at IS NOT NULL", hook.id, key
    )
    if row is None:
        raise NotFound
    return Delivery.of(row)


async def enqueue_redelivery(db: Database, delivery: Delivery) -> None:
    """Queues the same once more: same GUID, same payload, at the end of the queue."""

    def insert(connection: sqlite3.Connection) -> None:
        connection.execute(
            "INSERT INTO deliveries (hook_id, repository_id, guid, event, action, sender, facts, payload,"
            " redelivery) SELECT hook_id, repository_id, guid, event, action, sender, facts, payload, 1"
            " FROM deliveries WHERE id = ?",
            (delivery.id,),
        )

    await db.transaction(insert)
