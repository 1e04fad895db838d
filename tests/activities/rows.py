"""Rows of a run at work, for what is written about it."""

from models import Blueprint, Run, Sandbox
from models.run import RunStatus
from tests.conftest import TestProject


def run_at_work(project: TestProject) -> tuple[Blueprint, Run, Sandbox]:
    """A run with its blueprint and its sandbox, to be added in this order."""
    blueprint = Blueprint(project_id=project.id, name="b", pipeline_steps=[], config={})
    run = Run(
        project_id=project.id, run_number=1, name="n", status=RunStatus.running, prompt="p",
        github_repo_url="u", repository_slug="o/r", blueprint_id=blueprint.id, blueprint_name="b",
    )  # fmt: skip
    sandbox = Sandbox(project_id=project.id, job_id=run.id, name="n", template_id="base", timeout_ms=1)
    return blueprint, run, sandbox
