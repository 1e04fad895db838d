"""Starting an answering session: its row, its snapshot and its first event, in the caller's transaction."""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.blueprints.blueprint import SandboxConfig
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import EventType, append_event
from models.issues.answering_session import AnsweringSession
from models.issues.issue_session import IssueSession
from models.jobs.snapshot import StepSnapshot, add_job, agents_snapshot
from models.jobs.snapshot_builder import DEFAULT_MAX_TURNS, SnapshotBuilder
from models.projects.agent_config import AgentConfig
from models.projects.project import Project

QUESTION_INSTRUCTIONS = (
    "You prepare work that others will do. Read the issues and the code that they are about, and find what "
    "has to be decided before the work begins: what the code cannot tell and its users would notice. Ask "
    "only that, the most important first, and give for every question the answer that you would work with if "
    "nobody replied. Change nothing. End with `finish`; without questions if everything is clear."
)
ANSWER_INSTRUCTIONS = (
    "You prepare work that others will do. The questions of an earlier session were reviewed: what was "
    "decided is not yours to change. Write for each of them the answer that those who do the work are "
    "told: whole in itself, with what it means for this code. Change nothing. End with `finish`."
)


async def create_answering_session(
    session: AsyncSession, project: Project, scan: IssueSession, *, default_model: str
) -> AnsweringSession:
    """It reads the repository that the scan read, in a sandbox of the same sizes.

    Its template is the scan's, unless the project configures one for answering.
    """
    config = AgentConfig.model_validate(project.answering_config)
    sandbox = SandboxConfig(
        template_id=config.template_id or scan.template_id,
        memory_mb=scan.memory_mb,
        cpu_count=scan.cpu_count,
        timeout_ms=scan.timeout_ms,
    )
    row = AnsweringSession(
        project_id=project.id,
        issue_session_id=scan.id,
        name=scan.name,
        repository_slug=scan.repository_slug,
        github_repo_url=scan.github_repo_url,
        time_limit_seconds=scan.timeout_ms // 1000,
    )
    shelf = SnapshotBuilder(session, project)
    equipment = await shelf.add_agent("The project's answeringConfig", config)
    await shelf.add_slash_commands(scan.prompt)
    agents = [
        StepSnapshot(
            index=index,
            role=StepRole.answerer,
            label=label,
            model=config.model or default_model,
            thinking_effort=config.thinking_effort or ThinkingEffort.medium,
            instructions=instructions,
            context=equipment.context,
            skills=equipment.skills,
            commands=equipment.commands,
            max_turns=DEFAULT_MAX_TURNS,
        )
        for index, (label, instructions) in enumerate(
            [("Questions", QUESTION_INSTRUCTIONS), ("Answers", ANSWER_INSTRUCTIONS)]
        )
    ]
    snapshot = agents_snapshot(
        project,
        agents,
        scan.prompt,
        sandbox,
        skills=shelf.skills.values(),
        commands=shelf.commands.values(),
        setup_scripts=equipment.scripts,
    )
    await add_job(session, row, snapshot)
    append_event(session, row, EventType.answering_created, {"issueSessionId": scan.id})
    return row
