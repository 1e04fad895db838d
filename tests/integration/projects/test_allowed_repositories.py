"""A run whose repository is taken off its project's list while it is at work."""

from models import AllowedRepository
from models.event import EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import broken_invariants, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay

WORKING = register_scenario(
    "disallowed", bash("echo work > work.txt"), with_delay(finish("Wrote work.txt."), 2)
)


async def test_a_run_ends_with_the_next_use_of_a_repository_that_is_not_allowed_any_more(
    site: Installation,
) -> None:
    slug = await site.repository()
    project = await site.project(repository=slug)
    run = await site.start(f"Work {WORKING}", project=project, repository=slug)
    await site.until(run, EventType.tool_completed)
    async with site.database.transaction() as session:
        await session.delete(await session.get_one(AllowedRepository, (project.id, slug)))
    outcome = await outcome_of(site, run)
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "REPOSITORY_NOT_ALLOWED")
    assert f"codecourier projects allow {project.id} {slug}" in str(outcome.run.error_message)
    assert (outcome.branches, outcome.pulls) == ([], [])
    assert outcome.running == 0
    assert list(broken_invariants(outcome)) == []
