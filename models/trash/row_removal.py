"""The rows of an object that is deleted for good: it, and what belongs to it and to nothing else."""

from sqlalchemy import func, or_, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.agent.session import AgentSession, Message
from models.assets.asset import Asset
from models.blueprints.persona import Persona
from models.budgets.usage import UsageRecord, clear_usage_sources
from models.jobs.job_lookup import get_job
from models.projects.agent_config import AGENT_CONFIG_FIELDS
from models.projects.project import Project
from models.runs.run_step import RunStep
from models.sandboxes.sandbox import Sandbox
from models.sandboxes.sandbox_job import SandboxJob
from models.trash.job_removal import remove_job
from models.trash.trashable import Trashable


async def remove_row(session: AsyncSession, row: Trashable) -> None:
    """The row, with the rows that go with it by their foreign keys."""
    await session.delete(row)
    await session.flush()


async def remove_sandbox(session: AsyncSession, sandbox: Sandbox) -> None:
    """Its log and the conversations in it go with it; a job that works in it stays, and what it cost.

    The job of a sandbox of one's own is nothing without it.
    """
    job = await get_job(session, sandbox.job_id)
    if isinstance(job, SandboxJob):
        await remove_job(session, job)
        return
    messages = (
        select(col(Message.id))
        .join(AgentSession, col(AgentSession.id) == col(Message.session_id))
        .where(col(AgentSession.sandbox_id) == sandbox.id)
    )
    source = col(UsageRecord.source_id)
    await clear_usage_sources(session, or_(source == sandbox.id, source.in_(messages)))
    without = func.array_remove(col(RunStep.sandbox_ids), sandbox.id)
    steps = update(RunStep).where(col(RunStep.run_id) == sandbox.job_id)
    await session.execute(steps.values(sandbox_ids=without))
    await remove_row(session, sandbox)


async def remove_context(session: AsyncSession, context: Asset) -> None:
    """Its versions go with it; personas and configurations that had it have none from now on."""
    having = (col(Persona.project_id) == context.project_id) & (col(Persona.context_id) == context.id)
    await session.execute(update(Persona).where(having).values(context_id=None))
    project = await session.get_one(Project, context.project_id, with_for_update={"key_share": True})
    for name in AGENT_CONFIG_FIELDS:
        config = getattr(project, name)
        if config.get("contextId") == context.id:
            setattr(project, name, {**config, "contextId": None})
    await remove_row(session, context)
