"""A run in the middle of its work, for tests of deletions: it has a checkpoint and a sandbox."""

from models import Project, Run
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.event import EventType
from tests.support.installation import Site, eventually
from tests.support.outcomes import git
from tests.support.scenarios import bash, create, delayed, finish, scripted

DOOMED = scripted("doomed", create("a.txt", "a\n"), finish("Made it."), role="designer")
scripted("doomed", delayed(bash("true"), 120), finish(), role="optimizer")
STEPS = (
    PipelineStep(role=StepRole.designer, label="First"),
    PipelineStep(role=StepRole.optimizer, label="Second"),
)


async def a_run_at_work(site: Site, project: Project | None = None) -> Run:
    """Its first step has left a checkpoint; its second one waits for the model."""
    run = await site.start(f"Work {DOOMED}", STEPS, project=project)
    await site.until(run, EventType.step_started, count=2)

    async def has_ref() -> bool:
        return hidden_refs(site, run) != []

    await eventually(has_ref, f"{run.id} has a checkpoint")
    return run


def hidden_refs(site: Site, run: Run) -> list[str]:
    """Of the run's repository in the forge."""
    return git(site, run, "for-each-ref", "--format=%(refname)", "refs/codecourier").split()
