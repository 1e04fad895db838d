"""How many learnings a project has, counted by the database."""

from enum import StrEnum
from typing import Any, Final

from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.learnings.learning import Learning, LearningSeverity, LearningStatus
from models.learnings.learning_schemas import CategoryCount, LearningStats, SeverityCounts, StatusCounts

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
