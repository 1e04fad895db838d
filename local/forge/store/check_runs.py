"""Check runs and the suites they form: what a CI says about a commit, the newer way."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import NotFound
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id
from local.forge.webhooks.events import Event, record_event

# Worst first: a suite is as good as the worst of its runs.
CONCLUSIONS = (
    "action_required",
    "timed_out",
    "cancelled",
    "failure",
    "stale",
    "startup_failure",
    "neutral",
    "skipped",
    "success",
)
PASSING_CONCLUSIONS = ("success", "neutral", "skipped")
APP: Json = {
    "id": 1,
    "slug": "github-actions",
    "node_id": node_id("App", 1),
    "owner": None,
    "name": "forge",
    "description": None,
    "external_url": "",
    "html_url": "",
    "permissions": {"checks": "write"},
    "events": [],
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}


@dataclass(frozen=True)
class CheckRun:
    """A row of `check_runs`; all runs of one commit form one suite."""

    id: int
    repository_id: int
    suite_id: int
    head_sha: str
    name: str
    status: str
    conclusion: str | None
    details_url: str | None
    external_id: str | None
    started_at: str | None
    completed_at: str | None
    output_title: str | None
    output_summary: str | None
    output_text: str | None

    @classmethod
    def of(cls, row: sqlite3.Row) -> "CheckRun":
        return cls(**dict(row))

    def shape(self, site: Viewer, repo: Repository, pulls: list[Json]) -> Json:
        """GitHub's check run; pulls: the open pull requests with its head."""
        url = f"{site.repo_api(repo)}/check-runs/{self.id}"
        return {
            "id": self.id,
            "node_id": node_id("CheckRun", self.id),
            "name": self.name,
            "head_sha": self.head_sha,
            "external_id": self.external_id or "",
            "url": url,
            "html_url": f"{site.repo_html(repo)}/runs/{self.id}",
            "details_url": self.details_url,
            "status": self.status,
            "conclusion": self.conclusion,
            "started_at": self.started_at,
            "completed_at": self.completed_at,
            "output": {
                "title": self.output_title,
                "summary": self.output_summary,
                "text": self.output_text,
                "annotations_count": 0,
                "annotations_url": f"{url}/annotations",
            },
            "check_suite": {"id": self.suite_id},
            "app": APP,
            "pull_requests": pulls,
        }


CheckRunColumns = dict[str, str | None]


async def add(repo: Repository, fields: CheckRunColumns, by: str) -> CheckRun:
    """A new run; `fields` are columns, `head_sha` and `name` among them."""

    def insert(connection: sqlite3.Connection) -> CheckRun:
        (suite,) = connection.execute(
            "SELECT coalesce((SELECT suite_id FROM check_runs WHERE repository_id = ? AND head_sha = ?),"
            " (SELECT max(suite_id) + 1 FROM check_runs), 1)",
            (repo.id, fields["head_sha"]),
        ).fetchone()
        names = ", ".join(("repository_id", "suite_id", *fields))
        marks = ", ".join("?" * (len(fields) + 2))
        row = connection.execute(
            f"INSERT INTO check_runs ({names}) VALUES ({marks}) RETURNING *",  # noqa: S608
            (repo.id, suite, *fields.values()),
        ).fetchone()
        record_check_events(connection, repo, row, ["created", *completion_actions(fields)], by)
        return CheckRun.of(row)

    return await repo.db.transaction(insert)


async def get(repo: Repository, key: int) -> CheckRun:
    """One run by its id."""
    row = await repo.db.one("SELECT * FROM check_runs WHERE repository_id = ? AND id = ?", repo.id, key)
    if row is None:
        raise NotFound
    return CheckRun.of(row)


async def rerun(repo: Repository, run: CheckRun, by: str) -> CheckRun:
    """A new run of the same name on the same commit, as a re-run of its job makes one."""
    return await add(repo, {"name": run.name, "head_sha": run.head_sha, "status": "queued"}, by)


async def edit(repo: Repository, key: int, fields: CheckRunColumns, by: str) -> CheckRun:
    """Changes the given columns."""
    if not fields:
        return await get(repo, key)
    changes = ", ".join(f"{name} = ?" for name in fields)

    def update(connection: sqlite3.Connection) -> CheckRun:
        row = connection.execute(
            f"UPDATE check_runs SET {changes} WHERE repository_id = ? AND id = ? RETURNING *",  # noqa: S608
            (*fields.values(), repo.id, key),
        ).fetchone()
        if row is None:
            raise NotFound
        record_check_events(connection, repo, row, completion_actions(fields), by)
        return CheckRun.of(row)

    return await repo.db.transaction(update)


def completion_actions(fields: CheckRunColumns) -> list[str]:
    """The action that a conclusion is."""
    return ["completed"] if "conclusion" in fields else []


def record_check_events(
    connection: sqlite3.Connection, repo: Repository, row: sqlite3.Row, actions: list[str], by: str
) -> None:
    """Tells the hooks of a run, and of its suite when this was the last run to complete."""
    rows = connection.execute(
        "SELECT * FROM check_runs WHERE suite_id = ? ORDER BY id DESC", (row["suite_id"],)
    ).fetchall()
    runs = [dict(other) for other in rows]
    for action in actions:
        record_event(connection, repo, Event("check_run", action, by, {"run": dict(row), "runs": runs}))
    status, _ = state_of_suite(latest_by_name([CheckRun.of(other) for other in rows]))
    if "completed" in actions and status == "completed":
        record_event(connection, repo, Event("check_suite", "completed", by, {"runs": runs}))


async def list_by_commit(repo: Repository, sha: str) -> list[CheckRun]:
    """Every run of a commit, newest first."""
    rows = await repo.db.all(
        "SELECT * FROM check_runs WHERE repository_id = ? AND head_sha = ? ORDER BY id DESC", repo.id, sha
    )
    return [CheckRun.of(row) for row in rows]


async def list_by_suite(repo: Repository, suite: int) -> list[CheckRun]:
    """Every run of a suite, newest first."""
    rows = await repo.db.all(
        "SELECT * FROM check_runs WHERE repository_id = ? AND suite_id = ? ORDER BY id DESC", repo.id, suite
    )
    return [CheckRun.of(row) for row in rows]


def latest_by_name(runs: list[CheckRun]) -> list[CheckRun]:
    """The newest run of each name, given newest first."""
    return list({run.name: run for run in reversed(runs)}.values())


def state_of_suite(runs: list[CheckRun]) -> tuple[str, str | None]:
    """Status and conclusion of the suite these latest runs form."""
    if all(run.status == "completed" for run in runs):
        worst = min((CONCLUSIONS.index(run.conclusion or "success") for run in runs), default=-1)
        return "completed", CONCLUSIONS[worst]
    return ("queued" if all(run.status == "queued" for run in runs) else "in_progress"), None
