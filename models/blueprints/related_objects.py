"""What is related to a workflow: who works in it, what starts it, what its runs worked on."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic.config import JsonDict
from sqlalchemy import ColumnElement, func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Read
from models.blueprints.blueprint import Blueprint
from models.blueprints.blueprint_schemas import WORKFLOW
from models.blueprints.persona import Persona
from models.chains.sprint_chain import SprintChain
from models.chains.work_chain import WorkChain
from models.issues.issue import Issue
from models.jobs.snapshot import JobSnapshot
from models.json_view import example
from models.runs.run import Run
from models.schedules.recurring_task import RecurringTask

MAX_RELATED: Final = 100
"""Objects of each kind that are shown, the newest ones."""
RECENT_RUNS: Final = 1000
"""Runs of the workflow, the newest ones, whose issues are looked for."""
RECENT_SNAPSHOTS: Final = 100
"""Runs of the workflow, the newest ones, whose learnings are looked at."""
_PERSONA: JsonDict = {
    "id": "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a",
    "_id": "per_0198f2c4b1c27d3e8f4a5b6c7d8e9f0a",
    "name": "Careful reviewer",
    "type": "reviewer",
    "isEnabled": True,
}


class RelatedPersona(Read):
    """A persona that a step of the workflow names."""

    name: str
    """The persona's name."""
    type: str
    """The role that it is for."""
    is_enabled: bool
    """Whether runs may use it."""


class RelatedIssue(Read):
    """An issue that a run of the workflow works on, or did."""

    title: str
    """The issue's title."""
    status: str
    """How far the issue is."""
    run_id: str | None
    """The run that works on it, or did last."""


class RelatedLearningVersion(Read):
    """A learning version that recent runs of the workflow were told."""

    version: int
    """Its number."""


class RelatedRecurringTask(Read):
    """A recurring task that starts runs of the workflow."""

    title: str
    """The task's title."""
    is_active: bool
    """Whether it fires."""


class RelatedChain(Read):
    """A chain whose runs are of the workflow."""

    title: str
    """The chain's title, or the beginning of its prompt."""
    status: str
    """How far the chain is."""


class WorkflowRelated(Read):
    """What is related to a workflow: of each kind the newest, at most 100."""

    model_config = example(
        id=WORKFLOW,
        _id=WORKFLOW,
        personas=[_PERSONA],
        issues=[],
        learningVersions=[],
        recurringTasks=[],
        workChains=[],
        sprintChains=[],
    )
    personas: list[RelatedPersona]
    """Personas that its steps name now."""
    issues: list[RelatedIssue]
    """Issues that its newest 1,000 runs work on, or did."""
    learning_versions: list[RelatedLearningVersion]
    """Learning versions that its newest 100 runs were told."""
    recurring_tasks: list[RelatedRecurringTask]
    """Recurring tasks that start it."""
    work_chains: list[RelatedChain]
    """Work chains that use it."""
    sprint_chains: list[RelatedChain]
    """Sprint chains that use it."""


async def find_related(session: AsyncSession, blueprint: Blueprint) -> WorkflowRelated:
    """Everything that is related to the blueprint and not in the trash."""
    recent = (
        select(col(Run.id))
        .where(col(Run.blueprint_id) == blueprint.id, col(Run.deleted_at).is_(None))
        .order_by(col(Run.created_at).desc())
    )
    named = {step.persona_id for step in blueprint.steps if step.persona_id}
    personas = await _list_newest(session, blueprint, Persona, col(Persona.id).in_(named))
    worked_on = col(Issue.run_id).in_(recent.limit(RECENT_RUNS).scalar_subquery())
    issues = await _list_newest(session, blueprint, Issue, worked_on)
    tasks = await _list_newest(
        session, blueprint, RecurringTask, col(RecurringTask.target_workflow_id) == blueprint.id
    )
    work = await _list_newest(session, blueprint, WorkChain, col(WorkChain.workflow_id) == blueprint.id)
    sprint = await _list_newest(session, blueprint, SprintChain, col(SprintChain.workflow_id) == blueprint.id)
    told = func.jsonb_extract_path_text(col(JobSnapshot.document), "learnings", "version_id")
    number = func.jsonb_extract_path_text(col(JobSnapshot.document), "learnings", "version")
    versions = (
        select(told, number)
        .where(
            col(JobSnapshot.job_id).in_(recent.limit(RECENT_SNAPSHOTS).scalar_subquery()), told.is_not(None)
        )
        .group_by(told, number)
        .order_by(told.desc())
    )
    return WorkflowRelated(
        id=blueprint.id,
        personas=[RelatedPersona.model_validate(row) for row in personas],
        issues=[RelatedIssue.model_validate(row) for row in issues],
        learning_versions=[
            RelatedLearningVersion(id=id, version=int(version))
            for id, version in (await session.execute(versions)).all()  # noqa: A001
        ],
        recurring_tasks=[RelatedRecurringTask.model_validate(row) for row in tasks],
        work_chains=[RelatedChain.model_validate(row) for row in work],
        sprint_chains=[RelatedChain(id=row.id, title=row.prompt[:200], status=row.status) for row in sprint],
    )


async def _list_newest(
    session: AsyncSession, blueprint: Blueprint, table: type[Any], related: ColumnElement[bool]
) -> Sequence[Any]:
    statement = (
        select(table)
        .where(col(table.project_id) == blueprint.project_id, col(table.deleted_at).is_(None), related)
        .order_by(col(table.created_at).desc(), col(table.id).desc())
        .limit(MAX_RELATED)
    )
    return (await session.execute(statement)).scalars().all()
