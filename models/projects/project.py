"""A project, its settings, and the members who share it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from sqlalchemy import Column, Index
from sqlmodel import Field

from kit.crypto import Vault
from kit.ids import prefixed
from kit.redaction import require_bounded
from models.base import Json, JsonObject, Table, Timestamp, enum_column, now

if TYPE_CHECKING:
    from models.projects.project_schemas import EnvVar

PROTECTED_PATHS: Final = (
    ".github/workflows/**",
    ".github/actions/**",
    "CODEOWNERS",
    ".github/CODEOWNERS",
    "docs/CODEOWNERS",
)
"""What decides what CI runs, with the repository's secrets, and who has to review."""


MAX_VARIABLES: Final = 200
"""Environment variables of a project."""


class TooManyVariables(ValueError):
    """More environment variables than a project may have."""

    def __init__(self) -> None:
        super().__init__(f"a project has at most {MAX_VARIABLES} environment variables")


class Role(StrEnum):
    """What a member may do in a project: an `owner` everything, an `admin` all but what is the owners', a
    `member` the rest; each operation names the least role that it needs."""

    owner = "owner"
    admin = "admin"
    member = "member"

    def includes(self, other: "Role") -> bool:
        """Whether who has this role may do all that the other one may."""
        ranks = list(Role)
        return ranks.index(self) <= ranks.index(other)


class Project(Table, table=True):
    """What an API key opens: everything else belongs to exactly one project."""

    id: str = Field(default_factory=prefixed("prj"), primary_key=True)
    name: str
    slug: str = Field(unique=True)
    github_repo_url: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    deleted_at: datetime | None = Field(default=None, sa_type=Timestamp)
    run_count: int = 0
    """The number of the newest run; only ever counts up, so that numbers are never used twice."""

    sandbox_system_prompt: str | None = None
    claude_md: str | None = None
    issue_discovery_prompt: str | None = None
    learning_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    merging_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    issue_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    answering_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    evaluator_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    judge_config: JsonObject = Field(default_factory=dict, sa_type=Json)
    """Each as `models.projects.agent_config` describes it; what is missing has its default."""
    protected_paths: list[str] = Field(default_factory=lambda: [*PROTECTED_PATHS], sa_type=Json)
    """Patterns of paths that no push of the project's jobs may change."""
    max_concurrent_runs: int | None = None
    """How many runs may be at work at a time; None: no limit."""
    egress: JsonObject = Field(default_factory=dict, sa_type=Json)
    """As `models.projects.egress` describes it; what is missing has its default."""
    git_commit_name: str = "CodeCourier"
    git_commit_email: str = "bot@codecourier.invalid"
    env_vars: dict[str, dict[str, object]] = Field(default_factory=dict, sa_type=Json)
    """name → {"value": sealed, "isSecret": bool}; opened only to fill a sandbox command's environment."""

    def change_variables(self, changes: "Mapping[str, EnvVar | None]", vault: Vault) -> None:
        """Set the given variables and remove those that are None; all others stay.

        Raises `TooManyVariables`, and `TooManySecrets` when their secret values are more than can be masked.
        """
        kept = {name: value for name, value in self.env_vars.items() if name not in changes}
        given: dict[str, JsonObject] = {
            name: {"value": vault.seal(variable.value), "isSecret": variable.is_secret}
            for name, variable in changes.items()
            if variable is not None
        }
        variables = {**kept, **given}
        if len(variables) > MAX_VARIABLES:
            raise TooManyVariables
        require_bounded([vault.open(str(each["value"])) for each in variables.values() if each["isSecret"]])
        self.env_vars = variables

    def delete(self) -> None:
        """Begin to delete it: it is nobody's any more."""
        self.deleted_at = now()


class Member(Table, table=True):
    """A person of a project; keys are made by members and notifications are for them.

    invited → accepted → removed        (an operator's own, and the first owner, begin as accepted)
    """

    __table_args__ = (
        Index("member_once", "project_id", "email", unique=True, postgresql_where="removed_at IS NULL"),
        Index("member_by_external_id", "external_id", postgresql_where="external_id IS NOT NULL"),
        Index("member_by_email", "email"),
    )
    id: str = Field(default_factory=prefixed("user"), primary_key=True)
    project_id: str = Field(foreign_key="project.id", index=True)
    email: str
    """As `normalize_email` writes it."""
    name: str
    role: Role = Field(default=Role.member, sa_type=enum_column(Role))
    external_id: str | None = None
    """The person's id at the sign-in service, which tells when the account is deleted there."""
    created_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    invited_by: str | None = None
    """The member who did; None for those whom an operator added."""
    invited_at: datetime | None = Field(default=None, sa_type=Timestamp)
    accepted_at: datetime | None = Field(default_factory=now, sa_column=Column(Timestamp))
    """Its column has no default of its own, which would fill in for None."""
    removed_at: datetime | None = Field(default=None, sa_type=Timestamp)
    event_seq: int = 0

    @property
    def is_pending(self) -> bool:
        """Invited, and not here yet."""
        return self.accepted_at is None

    def invite(self, by: str) -> None:
        """Asked by this member to join; accepted with the first key."""
        self.invited_by, self.invited_at, self.accepted_at = by, now(), None

    def accept(self) -> None:
        self.accepted_at = self.accepted_at or now()

    def remove(self) -> None:
        self.removed_at = self.removed_at or now()

    def anonymize(self) -> None:
        """Forget who it is; what the member did stays, under the id."""
        self.email, self.name, self.external_id = self._placeholder_email, "Deleted user", None

    @property
    def is_anonymous(self) -> bool:
        """Nobody any more: the person's account was deleted."""
        return self.email == self._placeholder_email

    @property
    def _placeholder_email(self) -> str:
        return f"{self.id}@deleted.invalid"


def normalize_email(email: str) -> str:
    """Without the spaces around it and in lower case: two spellings of one address are one member."""
    return email.strip().lower()
