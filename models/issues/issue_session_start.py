"""Starting an issue session: its row, its snapshot and its first event, in the caller's transaction."""

from typing import Annotated

from pydantic import Field as Bounded
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.schemas import Title
from models.blueprints.blueprint import SandboxConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import EventType, append_event
from models.issues.issue_session import IssueSession
from models.jobs.snapshot import StepSnapshot, add_job, agents_snapshot
from models.jobs.snapshot_builder import DEFAULT_MAX_TURNS, SnapshotBuilder
from models.projects.agent_config import AgentConfig, choose_sandbox
from models.projects.project import Project
from models.runs.run_start import run_name_from_prompt

SCAN_INSTRUCTIONS = (
    "You look for issues: bugs, weaknesses, risks and missing tests that matter to the users of this code. "
    "Change nothing. Prove each one before you report it: read the code around it, run it where you can. "
    "Report each with `report_issue` as soon as you are sure, the worst first, and never one that is known "
    "already. Finding nothing is a good result: say so. End with `finish`: what you looked at, questions "
    "that only the people of the project can answer, and what you assumed."
)
"""What the agent is told unless the project has an issue discovery prompt of its own."""


class IssueSessionStart(SandboxConfig):
    """What a client says to start an issue session; sizes and the time limit are those of its sandbox."""

    prompt: Annotated[str, Bounded(min_length=1, max_length=100_000, pattern=r"\S")]
    """What to look for, at most 100,000 characters."""
    name: Title | None = None
    """What people call it; the first line of the prompt when it is left out."""


async def create_issue_session(
    session: AsyncSession,
    project: Project,
    request: IssueSessionStart,
    *,
    repository_slug: str,
    repository_url: str,
    default_model: str,
) -> IssueSession:
    config = AgentConfig.model_validate(project.issue_config)
    sandbox = choose_sandbox(request, config)
    row = IssueSession(
        project_id=project.id,
        name=request.name or run_name_from_prompt(request.prompt),
        prompt=request.prompt,
        repository_slug=repository_slug,
        github_repo_url=repository_url,
        **sandbox.model_dump(),
    )
    shelf = SnapshotBuilder(session, project)
    equipment = await shelf.add_agent("The project's issueConfig", config)
    await shelf.add_slash_commands(request.prompt)
    agent = StepSnapshot(
        index=0,
        role=StepRole.investigator,
        label="Issue scan",
        model=config.model or default_model,
        thinking_effort=config.thinking_effort or ThinkingEffort.high,
        instructions=project.issue_discovery_prompt or SCAN_INSTRUCTIONS,
        context=equipment.context,
        skills=equipment.skills,
        commands=equipment.commands,
        max_turns=DEFAULT_MAX_TURNS,
    )
    snapshot = agents_snapshot(
        project,
        [agent],
        request.prompt,
        sandbox,
        skills=shelf.skills.values(),
        commands=shelf.commands.values(),
        setup_scripts=equipment.scripts,
    )
    await add_job(session, row, snapshot)
    append_event(session, row, EventType.issue_session_created, {"name": row.name})
    return row
