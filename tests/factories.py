"""Rows of a run at work, for what is written about it."""

from models import AgentSession, Blueprint, Run, RunStep, Sandbox
from models.agent.session_kind import SessionKind
from models.blueprints.persona import StepRole, ThinkingEffort
from models.runs.run import RunStatus
from tests.conftest import ProjectKey


def make_running_run(project: ProjectKey) -> tuple[Blueprint, Run, Sandbox]:
    """A run with its blueprint and its sandbox, to be added in this order."""
    blueprint = Blueprint(project_id=project.id, name="b", pipeline_steps=[], config={})
    run = Run(
        project_id=project.id,
        run_number=1,
        name="n",
        status=RunStatus.running,
        prompt="p",
        github_repo_url="u",
        repository_slug="o/r",
        blueprint_id=blueprint.id,
        blueprint_name="b",
    )
    sandbox = Sandbox(project_id=project.id, job_id=run.id, name="n", template_id="base", timeout_ms=1)
    return blueprint, run, sandbox


def make_step(run: Run) -> RunStep:
    """The first step of a run."""
    return RunStep(
        project_id=run.project_id,
        run_id=run.id,
        index=0,
        iteration=1,
        role=StepRole.designer,
        label="Work",
        model="m",
        thinking_effort=ThinkingEffort.low,
    )


def make_agent_session(
    run: Run, sandbox: Sandbox, step: RunStep | None = None, model: str = "m"
) -> AgentSession:
    """An agent's session of a run, in its sandbox."""
    return AgentSession(
        project_id=run.project_id,
        job_id=run.id,
        step_id=step.id if step else None,
        sandbox_id=sandbox.id,
        kind=SessionKind.worker,
        label="Work",
        model=model,
        thinking_effort=ThinkingEffort.low,
        system="s",
        max_turns=9,
    )
