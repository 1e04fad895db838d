"""What happened, kept for the hooks that want to hear of it: in the transaction that made it happen.

A delivery is a row from that moment on, so a forge killed at any time tells it after its next start. The row
holds the facts as they were; the payload is made of them when it is sent for the first time.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import uuid4

from local.forge.store.repositories import Repository


@dataclass(frozen=True)
class Event:
    """name: GitHub's, such as `pull_request`; sender: the login whose doing it is; facts: JSON values."""

    name: str
    action: str | None
    sender: str
    facts: Mapping[str, object]


def record_event(connection: sqlite3.Connection, repo: Repository, event: Event) -> None:
    """One delivery for every active hook that asked for such events; all of them carry one GUID."""
    hooks = connection.execute(
        "SELECT id, events FROM hooks WHERE active AND coalesce(repository_id, ?) = ?", (repo.id, repo.id)
    ).fetchall()
    guid = new_guid()
    for hook in hooks:
        if {"*", event.name} & set(json.loads(hook["events"])):
            enqueue_delivery(connection, hook["id"], repo.id, event, guid)


def new_guid() -> str:
    """What tells an event from all others, and stays the same when it is sent again."""
    return str(uuid4())


def enqueue_delivery(
    connection: sqlite3.Connection, hook_id: int, repository_id: int | None, event: Event, guid: str
) -> None:
    """A delivery to one hook, sent when those before it are done."""
    connection.execute(
        "INSERT INTO deliveries (hook_id, repository_id, guid, event, action, sender, facts, redelivery)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
        (hook_id, repository_id, guid, event.name, event.action, event.sender, json.dumps(event.facts)),
    )
