"""What the finished steps of a run put out: later steps are told of it, and so is the pull request."""

from dataclasses import dataclass

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models import RunStep
from models.jobs.snapshot import Snapshot
from models.runs.run_step import StepStatus, Verdict


@dataclass(frozen=True)
class StepOutput:
    index: int
    iteration: int
    label: str
    output: str
    verdict: Verdict | None
    feedback: str | None


def earlier_outputs(snapshot: Snapshot) -> list[StepOutput]:
    """Of the steps that were done by the run that this one goes on from: as iteration 0."""
    if snapshot.continues is None:
        return []
    return [
        StepOutput(each.index, 0, each.label, each.output, each.verdict, each.feedback)
        for each in snapshot.continues.outputs
    ]


async def load_step_outputs(session: AsyncSession, run_id: str) -> list[StepOutput]:
    """Of the run's completed steps, in the order of their work."""
    statement = (
        select(RunStep)
        .where(col(RunStep.run_id) == run_id, col(RunStep.status) == StepStatus.completed)
        .order_by(col(RunStep.id))
    )
    return [
        StepOutput(step.index, step.iteration, step.label, step.output or "", step.verdict, step.feedback)
        for step in (await session.execute(statement)).scalars()
    ]
