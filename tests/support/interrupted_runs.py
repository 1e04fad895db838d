"""A run in the middle of its work, for tests of deletions: it has a checkpoint and a sandbox."""

from models import Project, Run
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import git
from tests.support.scenarios import bash, create, finish, register_scenario, with_delay

CHECKPOINT_THEN_WAIT = register_scenario(
    "doomed", create("a.txt", "a\n"), finish("Made it."), role="designer"
)
register_scenario("doomed", with_delay(bash("true"), 120), finish(), role="optimizer")
STEPS = (
    PipelineStep(role=StepRole.designer, label="First"),
    PipelineStep(role=StepRole.optimizer, label="Second"),
)


async def start_run_with_checkpoint(site: Installation, project: Project | None = None) -> Run:
    """Its first step has left a checkpoint; its second one waits for the model."""
    run = await site.start(f"Work {CHECKPOINT_THEN_WAIT}", STEPS, project=project)
    await site.until(run, EventType.step_started, count=2)

    async def has_ref() -> bool:
        return checkpoint_refs(site, run) != []

    await wait_until(has_ref, f"{run.id} has a checkpoint")
    return run


def checkpoint_refs(site: Installation, run: Run) -> list[str]:
    """Of the run's repository in the forge."""
    return git(site, run, "for-each-ref", "--format=%(refname)", "refs/codecourier").split()
