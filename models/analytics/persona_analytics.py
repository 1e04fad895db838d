"""A persona's work in figures: the steps that were done as it."""

from datetime import timedelta
from decimal import Decimal

from pydantic.config import JsonDict
from sqlalchemy import ColumnElement, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Read, UsdAmount, UtcTimestamp, Wire
from models.analytics.run_figures import mean, seconds, success_rate
from models.base import now
from models.blueprints.persona_schemas import PERSONA
from models.json_view import example
from models.runs.run import Run
from models.runs.run_step import RunStep, StepStatus
from models.runs.run_step_schemas import TokenUsage

_TOKENS: JsonDict = {"input": 512_000, "output": 48_000, "cacheRead": 2_048_000, "cacheWrite": 204_800}


class PersonaModelShare(Wire):
    """The steps that were done with one model."""

    model: str
    """The model."""
    steps: int
    """How many steps there were."""
    cost_usd: UsdAmount
    """What they cost in US dollars."""
    token_usage: TokenUsage
    """The tokens that they used."""
    average_duration_seconds: float | None
    """How long an ended one took on average; null while there is none."""


class PersonaAnalytics(Read):
    """What was done as a persona; steps of runs in the trash do not count."""

    model_config = example(
        id=PERSONA,
        _id=PERSONA,
        days=None,
        runs=12,
        steps=18,
        completedSteps=16,
        failedSteps=1,
        successRate=0.94,
        totalCostUsd=4.2,
        averageCostUsd=0.23,
        averageDurationSeconds=95.5,
        averageQualityScore=None,
        tokenUsage=_TOKENS,
        lastUsedAt="2026-01-15T10:04:02.000Z",
        byModel=[
            {
                "model": "claude-sonnet-5-5",
                "steps": 18,
                "costUsd": 4.2,
                "tokenUsage": _TOKENS,
                "averageDurationSeconds": 95.5,
            }
        ],
    )
    days: int | None
    """How many days until now the figures are of; null for all time."""
    runs: int
    """Runs in which it worked."""
    steps: int
    """Steps that it worked on, each iteration counted."""
    completed_steps: int
    """Those of them that it completed."""
    failed_steps: int
    """Those that failed."""
    success_rate: float | None
    """Completed steps among the completed and the failed, from 0 to 1; null while there are none."""
    total_cost_usd: UsdAmount
    """What the steps cost, in US dollars."""
    average_cost_usd: float | None
    """What a step cost on average; null while there is none."""
    average_duration_seconds: float | None
    """How long an ended step took on average; null while there is none."""
    average_quality_score: float | None
    """The mean quality score of the steps that have one."""
    token_usage: TokenUsage
    """The tokens that the steps used."""
    last_used_at: UtcTimestamp | None
    """When its newest step began; null if it was never used."""
    by_model: list[PersonaModelShare]
    """The same by model, the dearest first."""


async def analyze_persona(
    session: AsyncSession, project_id: str, persona_id: str, days: int | None
) -> PersonaAnalytics:
    """The figures of one persona of the project, of the last `days` or of all time."""
    chosen: list[ColumnElement[bool]] = [
        col(RunStep.project_id) == project_id,
        col(RunStep.persona_id) == persona_id,
        col(Run.id) == col(RunStep.run_id),
        col(Run.deleted_at).is_(None),
    ]
    if days is not None:
        chosen.append(col(RunStep.started_at) >= now() - timedelta(days=days))
    cost = func.sum(col(RunStep.cost_usd))
    tokens = (
        RunStep.input_tokens,
        RunStep.output_tokens,
        RunStep.cache_read_tokens,
        RunStep.cache_write_tokens,
    )
    by_model = (
        select(
            col(RunStep.model),
            func.count(),
            func.count().filter(col(RunStep.status) == StepStatus.completed),
            func.count().filter(col(RunStep.status) == StepStatus.failed),
            func.count(col(RunStep.completed_at)),
            func.coalesce(func.sum(seconds(col(RunStep.started_at), col(RunStep.completed_at))), 0),
            func.count(col(RunStep.quality_score)),
            func.coalesce(func.sum(col(RunStep.quality_score)), 0),
            cost,
            *(func.sum(col(each)) for each in tokens),
        )
        .where(*chosen)
        .group_by(col(RunStep.model))
        .order_by(cost.desc(), col(RunStep.model))
    )
    found = (await session.execute(by_model)).all()
    whole = select(func.count(col(RunStep.run_id).distinct()), func.max(col(RunStep.started_at))).where(
        *chosen
    )
    runs, last = (await session.execute(whole)).one()
    sums = [sum(column) for column in zip(*(row[1:] for row in found), strict=True)] or [0] * 12
    steps, completed, failed, ended, duration, scored, score, usd, *used = sums
    return PersonaAnalytics(
        id=persona_id,
        days=days,
        runs=runs,
        steps=steps,
        completed_steps=completed,
        failed_steps=failed,
        success_rate=success_rate(completed, failed),
        total_cost_usd=Decimal(usd),
        average_cost_usd=mean(usd, steps),
        average_duration_seconds=mean(duration, ended),
        average_quality_score=mean(score, scored),
        token_usage=_tokens(*used),
        last_used_at=last,
        by_model=[
            PersonaModelShare(
                model=row[0],
                steps=row[1],
                cost_usd=row[8],
                token_usage=_tokens(*row[9:]),
                average_duration_seconds=mean(row[5], row[4]),
            )
            for row in found
        ],
    )


def _tokens(read: int, written: int, cached: int, kept: int) -> TokenUsage:
    return TokenUsage(input=read, output=written, cache_read=cached, cache_write=kept)
