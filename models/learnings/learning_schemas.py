"""Learnings on the wire, and how many a project has, counted by the database."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import AliasChoices, Field
from pydantic.config import JsonDict
from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Body, Read, UtcTimestamp, Wire
from models.blueprints.persona import StepRole
from models.json_view import JsonView, example, unset_field
from models.learnings.learning import Learning, LearningSeverity, LearningSource, LearningStatus

LEARNING = "lrn_0198f2cab1c27d3e8f4a5b6c7d8e9f0a"
_RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
_SANDBOX = "s_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a"
_USER = "user_0198f2c3a1b27c3d8e4f5a6b7c8d9e0f"
MAX_LEARNING_IDS: int = 100
"""Learnings of one request."""
_CONTENT: JsonDict = {
    "description": "Queries in a loop made the orders page slow",
    "trigger": "When a list is read together with what belongs to each of its rows",
    "correctBehavior": "Read it with one joined query, and hold the number of queries by a test",
    "severity": "high",
    "category": "performance",
    "applicableRoles": ["designer", "optimizer"],
}
EXAMPLE: JsonDict = {
    "id": LEARNING,
    "_id": LEARNING,
    **_CONTENT,
    "status": "approved",
    "source": "extracted",
    "occurrences": 3,
    "runId": _RUN,
    "sandboxId": _SANDBOX,
    "approvedAt": "2026-01-15T11:00:00.000Z",
    "approvedBy": _USER,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "updatedAt": "2026-01-15T11:00:00.000Z",
}

Text = Annotated[str, Field(min_length=1, max_length=2_000, pattern=r"\S")]
LongText = Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"\S")]
Category = Annotated[str, Field(min_length=1, max_length=100, pattern=r"\S")]
Roles = Annotated[list[StepRole], Field(max_length=len(StepRole))]


class LearningRead(Read):
    """What agents should do differently; once approved, compiled and activated, they are told it."""

    model_config = example(**EXAMPLE)
    description: str
    """What is to be learned."""
    trigger: str | None
    """The situation in which it matters."""
    correct_behavior: str | None
    """What to do then."""
    severity: LearningSeverity
    """How much it matters; the worst come first in the document."""
    category: str | None
    """A word or two of the project's own choice."""
    applicable_roles: list[StepRole]
    """The roles of steps that are told it; every role when it is empty."""
    status: LearningStatus
    """Only approved ones are compiled into versions."""
    source: LearningSource
    """Found by an agent in a transcript, or written by hand."""
    occurrences: int
    """How many runs showed it; at least one."""
    run_id: str | None
    """The run that showed it first."""
    sandbox_id: str | None
    """The sandbox of that run."""
    approved_at: UtcTimestamp | None
    """When it was approved, if it is."""
    approved_by: str | None
    """The member who approved it."""
    created_at: UtcTimestamp
    """When it was found or written."""
    updated_at: UtcTimestamp
    """When it changed last."""


class LearningCreate(Body):
    """A learning of one's own; it is pending until it is approved."""

    model_config = example(**_CONTENT)
    description: Text
    """What is to be learned."""
    trigger: Text | None = None
    """The situation in which it matters."""
    correct_behavior: LongText | None = None
    """What to do then."""
    severity: LearningSeverity = LearningSeverity.medium
    """How much it matters."""
    category: Category | None = None
    """A word or two of one's own choice."""
    applicable_roles: Roles = Field(default_factory=list)
    """The roles of steps that are told it; every role when it is empty."""
    run_id: str | None = None
    """The run that showed it."""
    sandbox_id: str | None = None
    """The sandbox that showed it."""


class LearningRef(Body):
    """Names a learning."""

    model_config = example(learningId=LEARNING)
    learning_id: Annotated[str, Field(validation_alias=AliasChoices("learningId", "id"))]
    """The learning."""

    @property
    def id(self) -> str:
        return self.learning_id


class LearningRefs(Body):
    """Names several learnings."""

    model_config = example(learningIds=[LEARNING])
    learning_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_LEARNING_IDS)]
    """The learnings; those that are unknown are passed over."""

    @property
    def ids(self) -> list[str]:
        return self.learning_ids


class LearningStatusUpdate(LearningRef):
    """The decision on a learning; it can be changed as often as wished."""

    model_config = example(learningId=LEARNING, status="approved")
    status: LearningStatus
    """Approved, rejected, or pending again."""


class LearningStatusesUpdate(LearningRefs):
    """One decision on many learnings."""

    model_config = example(learningIds=[LEARNING], status="approved")
    status: LearningStatus
    """Approved, rejected, or pending again."""


class LearningContentUpdate(LearningRef):
    """Only the given fields change; `null` clears the trigger, the correct behavior and the category.

    An approval is of the words: an approved learning whose description, trigger or correct behavior changes
    is pending again.
    """

    model_config = example(learningId=LEARNING, severity="critical", applicableRoles=["designer"])
    description: Text = unset_field()
    """What is to be learned."""
    trigger: Text | None = unset_field()
    """The situation in which it matters."""
    correct_behavior: LongText | None = unset_field()
    """What to do then."""
    severity: LearningSeverity = unset_field()
    """How much it matters."""
    category: Category | None = unset_field()
    """A word or two of one's own choice."""
    applicable_roles: Roles = unset_field()
    """The roles of steps that are told it; every role when it is empty."""


class ChangedCount(Wire):
    """How many there were to change; those that were so already are not counted."""

    model_config = example(count=3)
    count: int
    """How many changed."""


class StatusCounts(Wire):
    """How many learnings there are of each status."""

    pending: int
    """Learnings that wait for a decision."""
    approved: int
    """Learnings that the next version will hold."""
    rejected: int
    """Learnings that were turned down."""


class SeverityCounts(Wire):
    """How many learnings there are of each severity."""

    low: int
    """Learnings of low severity."""
    medium: int
    """Learnings of medium severity."""
    high: int
    """Learnings of high severity."""
    critical: int
    """Learnings of critical severity."""


class CategoryCount(Wire):
    """How many learnings a category has."""

    category: str | None
    """The category; null for those without one."""
    count: int
    """Its learnings."""


class LearningStats(Wire):
    """How many learnings there are, by status, severity and category; those in the trash do not count."""

    model_config = example(
        total=12,
        byStatus={"pending": 4, "approved": 7, "rejected": 1},
        bySeverity={"low": 1, "medium": 6, "high": 4, "critical": 1},
        byCategory=[{"category": "performance", "count": 8}, {"category": None, "count": 4}],
    )
    total: int
    """All learnings."""
    by_status: StatusCounts
    """How many have each status."""
    by_severity: SeverityCounts
    """How many have each severity."""
    by_category: list[CategoryCount]
    """The 100 most frequent categories, the most frequent first."""


def _occurred_in_sql(column: str) -> str:
    """SQL: the learning showed in this run or sandbox, first or again."""
    return (
        "EXISTS (SELECT FROM learning_occurrence WHERE learning_id = learning.id"
        f" AND learning_occurrence.{column} = %({column})s)"
    )


LEARNINGS = JsonView(
    LearningRead,
    Learning,
    "Learning",
    where={
        "run_id": _occurred_in_sql("run_id"),
        "sandbox_id": _occurred_in_sql("sandbox_id"),
        "applicable_role": (
            "(learning.applicable_roles = '{}' OR %(applicable_role)s = ANY(learning.applicable_roles))"
        ),
    },
)


MAX_CATEGORIES: Final = 100


async def count_learnings(session: AsyncSession, project_id: str) -> LearningStats:
    of_project = col(Learning.project_id) == project_id, col(Learning.deleted_at).is_(None)

    async def by(column: Any, values: type[StrEnum]) -> dict[str, int]:
        statement = select(column, func.count()).where(*of_project).group_by(column)
        counted = {str(value): count for value, count in await session.execute(statement)}
        return {value.value: counted.get(value.value, 0) for value in values}

    statuses = await by(col(Learning.status), LearningStatus)
    categories = (
        select(col(Learning.category), func.count().label("learnings"))
        .where(*of_project)
        .group_by(col(Learning.category))
        .order_by(func.count().desc(), col(Learning.category))
        .limit(MAX_CATEGORIES)
    )
    return LearningStats(
        total=sum(statuses.values()),
        by_status=StatusCounts.model_validate(statuses),
        by_severity=SeverityCounts.model_validate(await by(col(Learning.severity), LearningSeverity)),
        by_category=[
            CategoryCount(category=category, count=count)
            for category, count in await session.execute(categories)
        ],
    )
