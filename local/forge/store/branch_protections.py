"""Branch protection: the rules of one branch, as GitHub takes and shows them, kept in a row."""

import sqlite3
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from local.forge.errors import NotFound
from local.forge.store.database import Database
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, quote_path

BOOLEAN_RULES = (
    *("required_linear_history", "allow_force_pushes", "allow_deletions", "block_creations"),
    *("required_conversation_resolution", "lock_branch", "allow_fork_syncing"),
)


class Check(BaseModel):
    """A check that must succeed; app_id: only from this app, None or -1 from any."""

    context: str
    app_id: int | None = None


class StatusChecks(BaseModel):
    """strict: the head must contain the base's tip as well."""

    strict: bool
    checks: list[Check] = []

    @model_validator(mode="before")
    @classmethod
    def take_contexts(cls, given: object) -> object:
        """The older `contexts`, names only, mean the same."""
        if isinstance(given, dict) and "checks" not in given and isinstance(given.get("contexts"), list):
            return given | {"checks": [{"context": name} for name in given["contexts"]]}
        return given

    @property
    def contexts(self) -> list[str]:
        return [check.context for check in self.checks]


class Reviews(BaseModel):
    """dismiss_stale_reviews: an approval counts for the head it was given for and no later one."""

    required_approving_review_count: Annotated[int, Field(ge=0, le=6)] = 1
    dismiss_stale_reviews: bool = False
    require_code_owner_reviews: bool = False
    require_last_push_approval: bool = False


class Restrictions(BaseModel):
    """Who may push and merge; teams and apps there are none."""

    users: list[str]
    teams: list[str]
    apps: list[str] = []


class Rules(BaseModel):
    """The body of `PUT …/protection`: the first four must be given, though they may be null."""

    required_status_checks: StatusChecks | None
    enforce_admins: bool | None
    required_pull_request_reviews: Reviews | None
    restrictions: Restrictions | None
    required_linear_history: bool | None = None
    allow_force_pushes: bool | None = None
    allow_deletions: bool | None = None
    block_creations: bool | None = None
    required_conversation_resolution: bool | None = None
    lock_branch: bool | None = None
    allow_fork_syncing: bool | None = None

    def excludes(self, login: str) -> bool:
        """Whether this user may neither push nor merge."""
        allowed = self.restrictions
        return allowed is not None and login.lower() not in [name.lower() for name in allowed.users]


@dataclass(frozen=True)
class Protection:
    """A row of `protections`: it belongs to the name of the branch and outlives the branch."""

    id: int
    branch: str
    rules: Rules

    @classmethod
    def of(cls, row: sqlite3.Row) -> "Protection":
        return cls(row["id"], row["branch"], Rules.model_validate_json(row["rules"]))

    def shape(self, site: Viewer, repo: Repository) -> Json:
        """GitHub's branch protection; what is not asked for is left out."""
        url, rules = protection_url(site, repo, self.branch), self.rules
        whole: Json = {
            "url": url,
            "enforce_admins": toggle_shape(rules.enforce_admins, f"{url}/enforce_admins"),
        }
        if (checks := rules.required_status_checks) is not None:
            whole["required_status_checks"] = {
                "url": f"{url}/required_status_checks",
                "strict": checks.strict,
                "contexts": checks.contexts,
                "contexts_url": f"{url}/required_status_checks/contexts",
                "checks": [check.model_dump() for check in checks.checks],
            }
        if (reviews := rules.required_pull_request_reviews) is not None:
            own = {"url": f"{url}/required_pull_request_reviews"}
            whole["required_pull_request_reviews"] = own | reviews.model_dump()
        if (allowed := rules.restrictions) is not None:
            links = {f"{kind}_url": f"{url}/restrictions/{kind}" for kind in ("users", "teams", "apps")}
            users = [site.user(login) for login in allowed.users]
            lists = {"users": users, "teams": [], "apps": []}
            whole["restrictions"] = {"url": f"{url}/restrictions", **links, **lists}
        whole["required_signatures"] = toggle_shape(False, f"{url}/required_signatures")
        return whole | {name: toggle_shape(getattr(rules, name)) for name in BOOLEAN_RULES}

    def summary(self) -> Json:
        """What a branch says of its protection."""
        checks = self.rules.required_status_checks
        level = "off" if checks is None else "everyone" if self.rules.enforce_admins else "non_admins"
        return {
            "enabled": True,
            "required_status_checks": {
                "enforcement_level": level,
                "contexts": checks.contexts if checks else [],
                "checks": [check.model_dump() for check in checks.checks] if checks else [],
            },
        }


UNPROTECTED: Json = {
    "enabled": False,
    "required_status_checks": {"enforcement_level": "off", "contexts": [], "checks": []},
}


async def put(repo: Repository, branch: str, rules: Rules) -> Protection:
    """The rules of a branch from now on, in place of those it had."""
    row = await repo.db.one(
        "INSERT INTO protections (repository_id, branch, rules) VALUES (?, ?, ?)"
        " ON CONFLICT (repository_id, branch) DO UPDATE SET rules = excluded.rules RETURNING *",
        *(repo.id, branch, rules.model_dump_json()),
    )
    assert row is not None
    return Protection.of(row)


async def find(repo: Repository, branch: str) -> Protection | None:
    """The protection of a branch, if it has one."""
    row = await repo.db.one(
        "SELECT * FROM protections WHERE repository_id = ? AND branch = ?", repo.id, branch
    )
    return Protection.of(row) if row else None


async def get(repo: Repository, branch: str) -> Protection:
    """The same, `NotFound` in GitHub's words without one."""
    protection = await find(repo, branch)
    if protection is None:
        raise NotFound("Branch not protected")
    return protection


async def of_repository(db: Database, repository_id: int) -> dict[str, Protection]:
    """Every protection of a repository by branch."""
    rows = await db.all("SELECT * FROM protections WHERE repository_id = ?", repository_id)
    return {row["branch"]: Protection.of(row) for row in rows}


async def remove(repo: Repository, branch: str) -> None:
    """Takes the protection away."""
    await get(repo, branch)
    await repo.db.all("DELETE FROM protections WHERE repository_id = ? AND branch = ?", repo.id, branch)


def protection_url(site: Viewer, repo: Repository, branch: str) -> str:
    """The API address of a branch's protection."""
    return f"{site.repo_api(repo)}/branches/{quote_path(branch)}/protection"


def toggle_shape(enabled: bool | None, url: str | None = None) -> Json:
    """`{url?, enabled}`."""
    return ({"url": url} if url else {}) | {"enabled": bool(enabled)}
