"""An agent's session in the database: who it is and what it is told first."""

from pydantic import BaseModel
from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.agent.images import image_reference
from activities.agent.prompts import system_prompt
from models import AgentSession, Message
from models.agent.session import MessageRole
from models.agent.session_kind import SessionKind
from models.base import JsonObject
from models.jobs.job import Job
from models.jobs.snapshot import Snapshot, StepSnapshot


class OpenedSession(BaseModel):
    session_id: str
    label: str
    max_turns: int

    @classmethod
    def of(cls, agent: AgentSession) -> "OpenedSession":
        return cls(session_id=agent.id, label=agent.label, max_turns=agent.max_turns)


def build_session(
    project_id: str,
    job_id: str,
    snapshot: Snapshot,
    agent: StepSnapshot,
    kind: SessionKind,
    prompt: str,
    *,
    sandbox_id: str,
    step_id: str | None = None,
) -> tuple[AgentSession, Message]:
    """The rows of a new session and of its first message."""
    row = AgentSession(
        project_id=project_id,
        job_id=job_id,
        step_id=step_id,
        sandbox_id=sandbox_id,
        kind=kind,
        label=agent.label,
        model=agent.model,
        thinking_effort=agent.thinking_effort,
        system=system_prompt(snapshot, agent, kind),
        max_turns=agent.max_turns,
        secrets=agent.secrets,
    )
    shown = [image_reference(image.file_id, image.content_type) for image in snapshot.images]
    content: list[JsonObject] = [*shown, {"type": "text", "text": prompt}]
    return row, Message(session_id=row.id, sequence=0, role=MessageRole.user, content=content)


async def open_session(
    session: AsyncSession,
    job: Job,
    snapshot: Snapshot,
    agent: StepSnapshot,
    kind: SessionKind,
    prompt: str,
    *,
    sandbox_id: str,
) -> AgentSession:
    """Add a new session to a job; the caller holds the job's row and has looked for an old one."""
    row, message = build_session(job.project_id, job.id, snapshot, agent, kind, prompt, sandbox_id=sandbox_id)
    session.add(row)
    await session.flush()
    session.add(message)
    job.current_step_label = agent.label
    return row


async def find_session(session: AsyncSession, job_id: str, kind: SessionKind) -> AgentSession | None:
    """The session of this kind that a job has; jobs other than runs have one of a kind."""
    statement = select(AgentSession).where(col(AgentSession.job_id) == job_id, col(AgentSession.kind) == kind)
    found: AgentSession | None = (await session.execute(statement)).scalar_one_or_none()
    return found
