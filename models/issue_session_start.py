"""Starting an issue session: its row, its snapshot and its first event, in the caller's transaction."""

from typing import Annotated

from pydantic import Field as Bounded
from sqlmodel.ext.asyncio.session import AsyncSession

from models.blueprint import SandboxConfig
from models.event import EventType, append
from models.issue_session import IssueSession
from models.job_snapshot import StepSnapshot, add_job, snapshot_for
from models.persona import StepRole, ThinkingEffort
from models.project import Project
from models.run_start import title
from models.shelf import DEFAULT_MAX_TURNS

SCOUT = (
    "You look for issues: bugs, weaknesses, risks and missing tests that matter to the users of this code. "
    "Change nothing. Prove each one before you report it: read the code around it, run it where you can. "
    "Report each with `report_issue` as soon as you are sure, the worst first, and never one that is known "
    "already. Finding nothing is a good result: say so. End with `finish`: what you looked at, questions "
    "that only the people of the project can answer, and what you assumed."
)
"""What the agent is told unless the project has an issue discovery prompt of its own."""


class IssueSessionStart(SandboxConfig):
    """What a client says to start an issue session; sizes and the time limit are those of its sandbox."""

    prompt: Annotated[str, Bounded(min_length=1, max_length=100_000)]
    name: Annotated[str, Bounded(min_length=1, max_length=200)] | None = None


async def create_issue_session(
    session: AsyncSession,
    project: Project,
    request: IssueSessionStart,
    *,
    repository_slug: str,
    repository_url: str,
    default_model: str,
) -> IssueSession:
    sandbox = SandboxConfig(**request.model_dump(exclude={"prompt", "name"}))
    row = IssueSession(
        project_id=project.id, name=request.name or title(request.prompt), prompt=request.prompt,
        repository_slug=repository_slug, github_repo_url=repository_url, **sandbox.model_dump(),
    )  # fmt: skip
    agent = StepSnapshot(
        index=0, role=StepRole.investigator, label="Issue scan", model=default_model,
        thinking_effort=ThinkingEffort.high, instructions=project.issue_discovery_prompt or SCOUT,
        max_turns=DEFAULT_MAX_TURNS,
    )  # fmt: skip
    await add_job(session, row, snapshot_for(project, [agent], request.prompt, sandbox))
    append(session, row, EventType.issue_session_created, {"name": row.name})
    return row
