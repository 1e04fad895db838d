"""Reviews of pull requests: submitted at once, with an approval, a request for changes, or words only."""

import sqlite3
from dataclasses import dataclass

from local.forge.errors import Invalid, Unprocessable
from local.forge.store.database import now
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id

STATES = {"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}
OWN_PULL_REQUEST_ERRORS = {"APPROVE": "Can not approve your own pull request"}
OWN_PULL_REQUEST_ERRORS["REQUEST_CHANGES"] = "Can not request changes on your own pull request"


@dataclass(frozen=True)
class Review:
    """A row of `reviews`; `commit_id` is the head it speaks of."""

    id: int
    repository_id: int
    number: int
    author: str
    body: str
    state: str
    commit_id: str
    submitted_at: str

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Review":
        return cls(**dict(row))

    def shape(self, site: Viewer, repo: Repository) -> Json:
        """GitHub's pull request review."""
        pull = f"{site.repo_api(repo)}/pulls/{self.number}"
        html = f"{site.repo_html(repo)}/pull/{self.number}#pullrequestreview-{self.id}"
        return {
            "id": self.id,
            "node_id": node_id("PullRequestReview", self.id),
            "user": site.user(self.author),
            "body": self.body,
            "state": self.state,
            "html_url": html,
            "pull_request_url": pull,
            "author_association": "COLLABORATOR",
            "_links": {"html": {"href": html}, "pull_request": {"href": pull}},
            "submitted_at": self.submitted_at,
            "commit_id": self.commit_id,
        }


@dataclass(frozen=True)
class NewReview:
    """event: one of `STATES`; commit: the head it speaks of, the present one if None."""

    event: str
    body: str
    commit: str | None


async def add(repo: Repository, pull: PullRequest, new: NewReview, author: str) -> Review:
    """Submits one; nobody approves or refuses his own work, and only an approval needs no words."""
    if author.lower() == pull.author.lower() and new.event in OWN_PULL_REQUEST_ERRORS:
        raise Unprocessable(OWN_PULL_REQUEST_ERRORS[new.event])
    if not new.body and new.event != "APPROVE":
        raise Invalid.field("PullRequestReview", "body", "missing_field")
    row = await repo.db.one(
        "INSERT INTO reviews (repository_id, number, author, body, state, commit_id, submitted_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING *",
        *(repo.id, pull.number, author, new.body, STATES[new.event], new.commit or pull.head_sha, now()),
    )
    assert row is not None
    return Review.of(row)


async def list_by_pull_request(repo: Repository, number: int) -> list[Review]:
    """Every review of a pull request, oldest first."""
    rows = await repo.db.all(
        "SELECT * FROM reviews WHERE repository_id = ? AND number = ? ORDER BY id", repo.id, number
    )
    return [Review.of(row) for row in rows]


def latest_by_reviewer(given: list[Review]) -> list[Review]:
    """The last word of each reviewer, given oldest first; mere comments take no approval back."""
    return list({review.author: review for review in given if review.state != "COMMENTED"}.values())
