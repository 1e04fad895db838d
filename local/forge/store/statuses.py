"""Commit statuses: what a CI says about a commit, the older way."""

import sqlite3
from dataclasses import dataclass

from local.forge.store.database import now
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id
from local.forge.webhooks.events import Event, record_event


@dataclass(frozen=True)
class Status:
    """A row of `statuses`; rows are only added, the newest of a context counts."""

    id: int
    repository_id: int
    sha: str
    context: str
    state: str
    description: str | None
    target_url: str | None
    author: str
    created_at: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Status":
        return cls(**dict(row))

    def shape(self, site: Viewer, repo: Repository) -> Json:
        """GitHub's status."""
        return {
            "url": f"{site.repo_api(repo)}/statuses/{self.sha}",
            "avatar_url": "",
            "id": self.id,
            "node_id": node_id("Status", self.id),
            "state": self.state,
            "description": self.description,
            "target_url": self.target_url,
            "context": self.context,
            "created_at": self.created_at,
            "updated_at": self.created_at,
            "creator": site.user(self.author),
        }


@dataclass(frozen=True)
class NewStatus:
    """What a CI reports; `state` is error, failure, pending or success."""

    state: str
    context: str
    description: str | None
    target_url: str | None


async def add(repo: Repository, sha: str, new: NewStatus, author: str) -> Status:
    """Records one report."""

    def insert(connection: sqlite3.Connection) -> Status:
        row = connection.execute(
            "INSERT INTO statuses"
            " (repository_id, sha, context, state, description, target_url, author, created_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING *",
            (repo.id, sha, new.context, new.state, new.description, new.target_url, author, now()),
        ).fetchone()
        record_event(connection, repo, Event("status", None, author, {"report": dict(row)}))
        return Status.of(row)

    return await repo.db.transaction(insert)


async def list_by_commit(repo: Repository, sha: str) -> list[Status]:
    """Every report on a commit, newest first."""
    rows = await repo.db.all(
        "SELECT * FROM statuses WHERE repository_id = ? AND sha = ? ORDER BY id DESC", repo.id, sha
    )
    return [Status.of(row) for row in rows]


def latest_by_context(reports: list[Status]) -> list[Status]:
    """The newest report of each context, given newest first."""
    return list({report.context: report for report in reversed(reports)}.values())


def combined_state(reports: list[Status]) -> str:
    """GitHub's one word for all contexts: failure, pending or success; pending when there are none."""
    states = {report.state for report in reports}
    if states & {"failure", "error"}:
        return "failure"
    return "success" if states == {"success"} else "pending"


async def has_only_successes(repo: Repository, sha: str) -> bool:
    """Whether no status and no check run of the commit is red or under way."""
    reports = latest_by_context(await list_by_commit(repo, sha))
    red = await repo.db.count(
        "check_runs WHERE repository_id = ? AND head_sha = ?"
        " AND coalesce(conclusion, '') NOT IN ('success', 'neutral', 'skipped')"
        " AND id IN (SELECT max(id) FROM check_runs WHERE repository_id = ? AND head_sha = ? GROUP BY name)",
        *(repo.id, sha, repo.id, sha),
    )
    return red == 0 and combined_state(reports) == "success" if reports else red == 0
