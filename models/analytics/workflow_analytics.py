"""A workflow's runs in figures: how many there were, how they ended, what they cost and took."""

import datetime as dt
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pydantic.config import JsonDict
from sqlalchemy import ARRAY, ColumnElement, func, literal, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Read, UsdAmount, Wire
from models.analytics.day_range import Days
from models.analytics.run_figures import CostShare, mean, seconds, success_rate
from models.base import Timestamp
from models.blueprints.blueprint_schemas import WORKFLOW
from models.json_view import example
from models.runs.run import Run, RunStatus
from models.runs.run_step import RunStep
from models.runs.run_step_schemas import TokenUsage

_TOKENS: JsonDict = {"input": 512_000, "output": 48_000, "cacheRead": 2_048_000, "cacheWrite": 204_800}


class WorkflowFigures(Wire):
    """Key figures of the runs that were started in the range; runs in the trash do not count."""

    total_runs: int
    """Runs that were started."""
    active_runs: int
    """Those of them that have not ended."""
    completed_runs: int
    """Those that did their work."""
    failed_runs: int
    """Those that failed."""
    cancelled_runs: int
    """Those that somebody cancelled."""
    success_rate: float | None
    """Completed ones among the completed and the failed, from 0 to 1; null while there are none."""
    total_cost_usd: UsdAmount
    """What all of them cost so far, in US dollars."""
    average_cost_usd: float | None
    """What an ended run cost on average; null while there is none."""
    average_duration_seconds: float | None
    """How long an ended run took on average, from its start to its end; null while there is none."""
    average_quality_score: float | None
    """The mean quality score of those that have one."""
    pull_requests: int
    """How many of them have a pull request."""
    token_usage: TokenUsage
    """The tokens that they used."""


class WorkflowDay(Wire):
    """The runs that were started on one day."""

    date: str
    """The day, in the time zone that was asked for."""
    runs: int
    """Runs that were started."""
    completed: int
    """Those of them that did their work."""
    failed: int
    """Those that failed."""
    cancelled: int
    """Those that were cancelled."""
    success_rate: float | None
    """Completed ones among the completed and the failed; null while there are none."""
    cost_usd: UsdAmount
    """What they cost, in US dollars."""


class WorkflowAnalytics(Read):
    """A workflow's runs in figures, all of them and day by day."""

    model_config = example(
        id=WORKFLOW,
        _id=WORKFLOW,
        startDate="2026-01-01",
        endDate="2026-01-30",
        timezone="UTC",
        kpis={
            "totalRuns": 12,
            "activeRuns": 1,
            "completedRuns": 9,
            "failedRuns": 1,
            "cancelledRuns": 1,
            "successRate": 0.9,
            "totalCostUsd": 4.2,
            "averageCostUsd": 0.38,
            "averageDurationSeconds": 412.5,
            "averageQualityScore": 87.5,
            "pullRequests": 8,
            "tokenUsage": _TOKENS,
        },
        costBreakdown=[
            {
                "role": "designer",
                "model": "claude-sonnet-5-5",
                "steps": 14,
                "costUsd": 3.1,
                "tokenUsage": _TOKENS,
            }
        ],
        series=[
            {
                "date": "2026-01-15",
                "runs": 2,
                "completed": 1,
                "failed": 1,
                "cancelled": 0,
                "successRate": 0.5,
                "costUsd": 0.84,
            }
        ],
    )
    start_date: str
    """The first day of the range."""
    end_date: str
    """The last day of the range."""
    timezone: str
    """Whose days these are."""
    kpis: WorkflowFigures
    """The whole range in figures."""
    cost_breakdown: list[CostShare]
    """What the steps cost, by role and model, the dearest first."""
    series: list[WorkflowDay]
    """Runs over time and their success rate: every day of the range, in order, also those without runs."""


@dataclass
class Tally:
    """Sums over some runs."""

    runs: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    cost_usd: Decimal = Decimal(0)
    ended_cost_usd: Decimal = Decimal(0)
    duration: Decimal = Decimal(0)
    scored: int = 0
    score: float = 0.0
    pull_requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled

    def add(self, other: "Tally") -> None:
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)


async def analyze_workflow(
    session: AsyncSession, project_id: str, blueprint_id: str, days: Days
) -> WorkflowAnalytics:
    """The figures of one workflow of the project."""
    chosen = (
        col(Run.project_id) == project_id,
        col(Run.blueprint_id) == blueprint_id,
        col(Run.deleted_at).is_(None),
        col(Run.created_at) >= days.start,
        col(Run.created_at) < days.end,
    )
    by_day = await _tally(session, days, chosen)
    everything = Tally()
    for tally in by_day.values():
        everything.add(tally)
    return WorkflowAnalytics(
        id=blueprint_id,
        start_date=days.first.isoformat(),
        end_date=days.last.isoformat(),
        timezone=days.zone,
        kpis=_figures(everything),
        cost_breakdown=await _shares(session, chosen),
        series=[_day(day, by_day[index]) for index, day in enumerate(days.dates, start=1)],
    )


async def _tally(
    session: AsyncSession, days: Days, chosen: tuple[ColumnElement[bool], ...]
) -> defaultdict[int, Tally]:
    """By the number of the day, from 1."""
    status, ended = col(Run.status), col(Run.completed_at).is_not(None)

    def total(column: Any) -> Any:
        return func.coalesce(func.sum(col(column)), 0)

    day = func.width_bucket(col(Run.created_at), literal(days.bounds[:-1], ARRAY(Timestamp)))
    sums = {
        "runs": func.count(),
        "completed": func.count().filter(status == RunStatus.completed),
        "failed": func.count().filter(status == RunStatus.failed),
        "cancelled": func.count().filter(status == RunStatus.cancelled),
        "cost_usd": total(Run.cost_usd),
        "ended_cost_usd": func.coalesce(func.sum(col(Run.cost_usd)).filter(ended), 0),
        "duration": func.coalesce(
            func.sum(seconds(func.coalesce(Run.started_at, Run.created_at), col(Run.completed_at))), 0
        ),
        "scored": func.count(col(Run.quality_score)),
        "score": total(Run.quality_score),
        "pull_requests": func.count(col(Run.pr_number)),
        "input_tokens": total(Run.input_tokens),
        "output_tokens": total(Run.output_tokens),
        "cache_read_tokens": total(Run.cache_read_tokens),
        "cache_write_tokens": total(Run.cache_write_tokens),
    }
    statement = select(day, *(value.label(name) for name, value in sums.items())).where(*chosen).group_by(day)
    found: defaultdict[int, Tally] = defaultdict(Tally)
    for index, *values in (await session.execute(statement)).all():
        found[index] = Tally(*values)
    return found


async def _shares(session: AsyncSession, chosen: tuple[ColumnElement[bool], ...]) -> list[CostShare]:
    cost = func.sum(col(RunStep.cost_usd))
    tokens = (
        RunStep.input_tokens,
        RunStep.output_tokens,
        RunStep.cache_read_tokens,
        RunStep.cache_write_tokens,
    )
    statement = (
        select(
            col(RunStep.role),
            col(RunStep.model),
            func.count(),
            cost,
            *(func.sum(col(each)) for each in tokens),
        )
        .join(Run, col(Run.id) == col(RunStep.run_id))
        .where(*chosen)
        .group_by(col(RunStep.role), col(RunStep.model))
        .order_by(cost.desc(), col(RunStep.role), col(RunStep.model))
    )
    return [
        CostShare(
            role=role,
            model=model,
            steps=steps,
            cost_usd=usd,
            token_usage=TokenUsage(input=read, output=written, cache_read=cached, cache_write=kept),
        )
        for role, model, steps, usd, read, written, cached, kept in (await session.execute(statement)).all()
    ]


def _figures(tally: Tally) -> WorkflowFigures:
    return WorkflowFigures(
        total_runs=tally.runs,
        active_runs=tally.runs - tally.ended,
        completed_runs=tally.completed,
        failed_runs=tally.failed,
        cancelled_runs=tally.cancelled,
        success_rate=success_rate(tally.completed, tally.failed),
        total_cost_usd=tally.cost_usd,
        average_cost_usd=mean(tally.ended_cost_usd, tally.ended),
        average_duration_seconds=mean(tally.duration, tally.ended),
        average_quality_score=mean(tally.score, tally.scored),
        pull_requests=tally.pull_requests,
        token_usage=TokenUsage(
            input=tally.input_tokens,
            output=tally.output_tokens,
            cache_read=tally.cache_read_tokens,
            cache_write=tally.cache_write_tokens,
        ),
    )


def _day(day: dt.date, tally: Tally) -> WorkflowDay:
    return WorkflowDay(
        date=day.isoformat(),
        runs=tally.runs,
        completed=tally.completed,
        failed=tally.failed,
        cancelled=tally.cancelled,
        success_rate=success_rate(tally.completed, tally.failed),
        cost_usd=tally.cost_usd,
    )
