"""A run that is restarted goes on from what the ended one pushed, and asks the model only for the rest."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlmodel import col

from activities.reconcile.admission import claim_namespace
from activities.reconcile.findings import Inconsistency
from gateways.git.repository import checkpoint_ref
from kit.errors import Conflict
from kit.temporal import connect
from models import Run
from models.base import now
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.effect import EffectKind, record_intent
from models.event import EventType
from models.jobs.job import WORKFLOW_LOST
from models.runs.checkpoints import LOST_RUN_CHECKPOINT_RETENTION
from models.runs.run import PrStatus, RunStatus
from models.runs.run_start import restart_run
from models.runs.run_step import StepStatus
from models.trash.rules import require_run_finished
from tests.integration.sandboxes.test_lost_sandboxes import WAIT, kill
from tests.support.inconsistencies import find_finding, repair_if_found, repair_once
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.interrupted_runs import checkpoint_refs
from tests.support.outcomes import RunOutcome, git, outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario, with_delay
from tests.support.stack import Servers

HALF = register_scenario(
    "half-done", create("first.txt", "first\n"), finish("Made the first part."), role="designer"
)
register_scenario(
    "half-done", bash("cat first.txt second.txt"), finish("Looked."), role="optimizer", told="earlier-run"
)
register_scenario(
    "half-done", bash("date >> second.txt"), bash("true"), bash("true"), finish(), role="optimizer"
)
HEEDLESS = register_scenario(
    "heedless-half",
    create("first.txt", "first\n"),
    finish("Made it again."),
    role="designer",
    told="earlier-run",
)
register_scenario(
    "heedless-half",
    create("first.txt", "first\n"),
    bash(WAIT),
    finish("Made the first part."),
    role="designer",
)
register_scenario(
    "heedless-half", bash("cat first.txt"), finish("Looked."), role="optimizer", told="Made it again."
)
register_scenario(
    "heedless-half", bash("date >> second.txt"), bash("true"), bash("true"), finish(), role="optimizer"
)
CUT = register_scenario(
    "cut-half", create("first.txt", "first\n"), finish("Made the first part."), role="designer"
)
register_scenario(
    "cut-half",
    bash("cat first.txt; echo second > second.txt"),
    finish("Added the second."),
    role="optimizer",
    told="earlier-run",
)
register_scenario("cut-half", with_delay(bash("true"), 120), finish(), role="optimizer")
STEPS = [
    PipelineStep(role=StepRole.designer, label="Make"),
    PipelineStep(role=StepRole.optimizer, label="Add", max_turns=2),
]


@pytest.fixture(scope="module")
async def limited(site: Installation) -> RunOutcome:
    """A run whose second step used up its turns."""
    return await outcome_of(site, await site.start(f"Two parts {HALF}", STEPS))


async def _restarted(site: Installation, run: Run, *, from_scratch: bool = False) -> RunOutcome:
    async with site.database.transaction() as session:
        again = await restart_run(session, await session.get_one(Run, run.id), from_scratch=from_scratch)
    return await outcome_of(site, await site.send(again))


async def test_a_restart_goes_on_from_the_branch_with_the_step_that_was_left(
    site: Installation, limited: RunOutcome
) -> None:
    old = limited.run
    assert (old.status, old.error_code) == (RunStatus.failed, "TURN_LIMIT")
    again = await _restarted(site, old)
    assert (again.run.restarted_from, again.run.continues_run_id) == (old.id, old.id)
    assert (again.run.status, again.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert again.file("first.txt") == "first\n"
    assert again.file("second.txt") == limited.file("second.txt"), "kept, not made again"
    assert [(step.label, step.status) for step in again.steps] == [("Add", StepStatus.completed)]
    [task, *_] = again.messages
    assert f"Run {old.run_number} worked on this task before" in str(task.content)
    assert "Made the first part." in str(task.content)
    [pull] = [pull for pull in again.pulls if pull["number"] == again.run.pr_number]
    assert "Make, in an earlier run" in str(pull["body"])


async def test_a_restart_from_scratch_does_all_of_it_again(site: Installation, limited: RunOutcome) -> None:
    again = await _restarted(site, limited.run, from_scratch=True)
    assert again.run.continues_run_id is None
    assert [step.label for step in again.steps] == ["Make", "Add"]
    assert again.run.error_code == "TURN_LIMIT"


async def test_a_restart_of_a_restart_goes_on_further(site: Installation, limited: RunOutcome) -> None:
    """The one in between did not get as far as pushing anything: what came before it is not lost."""
    async with site.database.transaction() as session:
        between = await restart_run(session, await session.get_one(Run, limited.run.id))
        between.close(RunStatus.failed, code="CREDENTIAL_MISSING", message="No key.")
    again = await _restarted(site, between)
    assert (again.run.restarted_from, again.run.continues_run_id) == (between.id, limited.run.id)
    assert again.run.status is RunStatus.completed
    assert again.file("first.txt") == "first\n"


async def test_a_restart_does_a_step_again_whose_work_was_lost(site: Installation) -> None:
    """Its agent was told that, and finished all the same; the next step had no such luck."""
    run = await site.start(f"Two parts {HEEDLESS}", STEPS)
    await kill(site, run)
    old = await outcome_of(site, run)
    assert old.run.error_code == "TURN_LIMIT"
    lost, _ = old.steps
    assert (lost.status, lost.unsaved_in) == (StepStatus.completed, old.sandboxes[0].id)
    again = await _restarted(site, run)
    assert again.run.continues_run_id == run.id
    assert [step.label for step in again.steps] == ["Make", "Add"]
    assert again.file("first.txt") == "first\n"
    assert again.file("second.txt") == old.file("second.txt"), "kept, not made again"


async def _interrupted(site: Installation) -> Run:
    """A run in the middle of its second step, with a checkpoint."""
    run = await site.start(f"Two parts {CUT}", STEPS)
    await site.until(run, EventType.step_started, count=2)

    async def has_checkpoint() -> bool:
        return checkpoint_refs(site, run) == [checkpoint_ref(run.id)]

    await wait_until(has_checkpoint, f"{run.id} has a checkpoint")
    return run


async def _lost(site: Installation) -> Run:
    """One whose workflow is gone, and which the sweep has closed."""
    run = await _interrupted(site)
    await site.handle(run).terminate()
    assert (
        await repair_once(site, Inconsistency.abandoned_row, run.id) == f"closed as failed, {WORKFLOW_LOST}"
    )
    return await site.read(run)


async def _closed_ago(site: Installation, run: Run, age: timedelta) -> None:
    async with site.database.transaction() as session:
        earlier = update(Run).where(col(Run.id) == run.id).values(completed_at=now() - age)
        await session.execute(earlier)


async def test_a_restart_of_a_lost_run_goes_on_from_its_checkpoint(site: Installation) -> None:
    """Nothing of it was pushed: its checkpoint is all there is, and is kept for this."""
    old = await _lost(site)
    assert (old.pushed_branch, checkpoint_refs(site, old)) == (None, [checkpoint_ref(old.id)])
    assert await find_finding(site, Inconsistency.leftover_checkpoint, old.id) is None
    again = await _restarted(site, old)
    assert (again.run.status, again.run.continues_run_id) == (RunStatus.completed, old.id)
    assert [(step.label, step.status) for step in again.steps] == [("Add", StepStatus.completed)]
    assert (again.file("first.txt"), again.file("second.txt")) == ("first\n", "second\n")
    assert checkpoint_refs(site, again.run) == [checkpoint_ref(old.id)]
    await _closed_ago(site, old, LOST_RUN_CHECKPOINT_RETENTION + timedelta(minutes=5))
    assert await repair_once(site, Inconsistency.leftover_checkpoint, old.id) == "deleted"
    assert checkpoint_refs(site, again.run) == []


async def test_runs_of_a_lost_namespace_are_restarted_from_their_checkpoints_in_another(
    parts: Servers, tmp_path: Path
) -> None:
    """Temporal lost everything, and the database is good: an operator names what is gone."""
    async with open_installation(parts, "gone", tmp_path / "site") as site:
        worker = await site.start_worker()
        run = await _interrupted(site)
        await worker.stop()
        async with site.database.transaction() as session:  # as the API notes it
            (await session.get_one(Run, run.id)).temporal_namespace = "gone"
        await parts.make_namespace("gone-next")
        settings = site.settings.model_copy(update={"temporal_namespace": "gone-next"})
        await claim_namespace(settings, copy=False, take_over=False)
        moved = replace(site, settings=settings, client=await connect(settings, site.installation))
        assert await find_finding(moved, Inconsistency.abandoned_row, run.id) is None, (
            "it may be at work elsewhere"
        )
        found = await find_finding(moved, Inconsistency.abandoned_row, run.id, gone=("gone",))
        assert found is not None
        assert found.what == "This run is running, but its workflow is not in Temporal any more."
        await repair_if_found(moved, Inconsistency.abandoned_row, run.id, gone=("gone",))
        old = await moved.read(run)
        assert (old.status, old.error_code) == (RunStatus.failed, WORKFLOW_LOST)
        await moved.start_worker(TEMPORAL_NAMESPACE="gone-next")
        again = await _restarted(moved, old)
        assert (again.run.status, again.run.pr_status) == (RunStatus.completed, PrStatus.created)
        assert [step.label for step in again.steps] == ["Add"]
        assert (again.file("first.txt"), again.file("second.txt")) == ("first\n", "second\n")
        assert len(again.pulls) == 1


async def test_a_checkpoint_is_retained_while_a_restarted_run_needs_it(site: Installation) -> None:
    old = await _lost(site)
    async with site.database.transaction() as session:
        heir = await restart_run(session, await session.get_one(Run, old.id))
    await _closed_ago(site, old, LOST_RUN_CHECKPOINT_RETENTION + timedelta(minutes=5))
    assert await find_finding(site, Inconsistency.leftover_checkpoint, old.id) is None
    outcome = await outcome_of(site, await site.send(heir))
    assert outcome.file("first.txt") == "first\n"
    assert await repair_once(site, Inconsistency.leftover_checkpoint, old.id) == "deleted"


async def test_without_the_checkpoint_a_restarted_run_says_so(site: Installation) -> None:
    """It does not begin with a step whose work before it is gone."""
    old = await _lost(site)
    git(site, old, "update-ref", "-d", checkpoint_ref(old.id))
    again = await _restarted(site, old)
    assert (again.run.status, again.run.error_code) == (RunStatus.failed, "BRANCH_MISSING")
    assert "The checkpoint that the run goes on from" in str(again.run.error_message)


async def test_a_restarted_run_falls_back_to_the_checkpoint_that_it_began_with(site: Installation) -> None:
    """When its own is in the ledger and was never made, as its sandbox was lost just then."""
    old = await _lost(site)
    async with site.database.transaction() as session:
        heir = await restart_run(session, await session.get_one(Run, old.id))
        await record_intent(session, heir.id, EffectKind.checkpoint)
    outcome = await outcome_of(site, await site.send(heir))
    assert (outcome.run.status, outcome.file("first.txt")) == (RunStatus.completed, "first\n")


async def test_a_restart_begins_from_scratch_after_the_checkpoints_retention(site: Installation) -> None:
    """Also one of a run that was itself to go on from it, and pushed nothing."""
    old = await _lost(site)
    async with site.database.transaction() as session:
        between = await restart_run(session, await session.get_one(Run, old.id))
        between.close(RunStatus.failed, code="CREDENTIAL_MISSING", message="No key.")
        assert (await restart_run(session, between)).continues_run_id == old.id
        await session.rollback()
    async with site.database.transaction() as session:
        between = await restart_run(session, await session.get_one(Run, old.id))
        between.close(RunStatus.failed, code="CREDENTIAL_MISSING", message="No key.")
    await _closed_ago(site, old, LOST_RUN_CHECKPOINT_RETENTION + timedelta(minutes=5))
    async with site.database.transaction() as session:
        for ended in (old.id, between.id):
            again = await restart_run(session, await session.get_one(Run, ended))
            assert again.continues_run_id is None
        await session.rollback()


async def test_a_lost_run_is_not_deleted_while_another_needs_its_checkpoint(site: Installation) -> None:
    old = await _lost(site)
    async with site.database.transaction() as session:
        heir = await restart_run(session, await session.get_one(Run, old.id))
    async with site.database.transaction() as session:
        with pytest.raises(
            Conflict, match=f"Run {heir.run_number} goes on from what run {old.run_number} left"
        ):
            await require_run_finished(session, await session.get_one(Run, old.id))
        (await session.get_one(Run, heir.id, with_for_update=True)).close(RunStatus.cancelled)
        await session.flush()
        await require_run_finished(session, await session.get_one(Run, old.id))
