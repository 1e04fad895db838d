"""A checkpoint ends with its job, in every ending; what could not be deleted then is found by the sweep."""

import signal
from pathlib import Path

import pytest

from activities.reconcile.findings import GRACE, Inconsistency
from activities.sandboxes.checkpoints import has_checkpoint
from gateways.git.repository import RepositoryNotFound, checkpoint_ref
from models import Run
from models.base import now
from models.effect import Effect, EffectKind, record_intent
from models.event import EventType
from models.runs.run import RunStatus
from tests.support.inconsistencies import find_finding, repair_once
from tests.support.installation import Installation, open_installation
from tests.support.interrupted_runs import checkpoint_refs, start_run_with_checkpoint
from tests.support.outcomes import git, outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario
from tests.support.stack import Servers

SECRET = "s3cr3t-of-the-project-4711"
COMPLETED = register_scenario("checkpoint-completed", create("a.txt", "a\n"), finish("Made it."))
PROTECTED = register_scenario(
    "checkpoint-protected",
    create(".github/workflows/evil.yml", "on: push\n"),
    create("CODEOWNERS", "* @nobody\n"),
    finish("Made it."),
    finish("It cannot be done without."),
)
TAKEN_BACK = register_scenario(
    "checkpoint-taken-back",
    create("CODEOWNERS", "* @nobody\n"),
    create("a.txt", "a\n"),
    finish("Made it."),
    bash("rm CODEOWNERS"),
    finish("Made it without."),
)
HELD_SECRET = register_scenario(
    "checkpoint-secret",
    bash('echo "$NPM_TOKEN" >a.txt'),
    bash("rm a.txt; echo 1 >b.txt"),
    finish("Clean now."),
)


async def in_ledger(site: Installation, run: Run) -> bool:
    async with site.database.read_only() as session:
        return await has_checkpoint(session, run.id)


async def has_ended(site: Installation, run: Run, status: RunStatus) -> None:
    run = await site.ended(run)
    assert (run.status, run.error_message if status is RunStatus.completed else None) == (status, None)
    assert checkpoint_refs(site, run) == []
    assert not await in_ledger(site, run)


async def test_a_completed_run_leaves_none(site: Installation) -> None:
    await has_ended(site, await site.start(f"Work {COMPLETED}"), RunStatus.completed)


async def test_a_cancelled_run_leaves_none(site: Installation) -> None:
    run = await start_run_with_checkpoint(site)
    assert await in_ledger(site, run)
    await site.handle(run).cancel()
    await has_ended(site, run, RunStatus.cancelled)


async def test_a_failed_run_leaves_none_and_says_which_paths_are_protected(site: Installation) -> None:
    run = await site.start(f"Work {PROTECTED}")
    await has_ended(site, run, RunStatus.failed)
    run = await site.read(run)
    assert run.error_code == "PROTECTED_PATH"
    assert "(.github/workflows/evil.yml, CODEOWNERS)" in str(run.error_message)
    assert git(site, run, "for-each-ref", "--format=%(refname)").split() == ["refs/heads/main"]


async def test_an_agent_is_told_of_protected_paths_before_it_is_too_late(site: Installation) -> None:
    """One takes its change back; one is told once only."""
    outcome = await outcome_of(site, await site.start(f"Work {TAKEN_BACK}"))
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.completed, None)
    assert outcome.git("ls-tree", "--name-only", str(outcome.run.branch_name)).split() == [
        "a.txt",
        "greet.py",
    ]
    refusal, accepted = [call for call in outcome.calls if call.name == "finish"]
    assert "your change touches paths that this project protects:\n- CODEOWNERS\n" in refusal.result
    assert f"git checkout {outcome.run.base_sha} -- PATH" in refusal.result
    assert (refusal.is_error, accepted.is_error) == (True, False)
    stubborn = await outcome_of(site, await site.start(f"Work {PROTECTED}"))
    assert stubborn.run.error_code == "PROTECTED_PATH"
    assert [call.is_error for call in stubborn.calls if call.name == "finish"] == [True, False]


@pytest.mark.soak
async def test_a_project_may_allow_protected_paths(site: Installation) -> None:
    project = await site.project(protected_paths=[])
    run = await site.ended(await site.start(f"Work {PROTECTED}", project=project))
    assert (run.status, run.error_code) == (RunStatus.completed, None)
    assert git(site, run, "show", f"{run.branch_name}:CODEOWNERS") == "* @nobody\n"


async def test_a_checkpoint_that_is_refused_is_told_and_ends_nothing(site: Installation) -> None:
    """The secret is gone from the work tree before the end, and so it is never pushed."""
    project = await site.project(secrets={"NPM_TOKEN": SECRET})
    run = await site.ended(await site.start(f"Work {HELD_SECRET}", project=project))
    assert (run.status, run.error_code) == (RunStatus.completed, None)
    assert "b.txt" in git(site, run, "ls-tree", "--name-only", str(run.branch_name))


async def test_what_was_left_behind_is_found_and_deleted(site: Installation) -> None:
    run = await site.ended(await site.start(f"Work {COMPLETED}"))
    git(site, run, "update-ref", checkpoint_ref(run.id), str(run.base_sha))
    async with site.database.transaction() as session:
        (await record_intent(session, run.id, EffectKind.checkpoint)).complete_again()
    assert await find_finding(site, Inconsistency.leftover_checkpoint, run.id, GRACE) is None, (
        "it has just ended"
    )
    assert await repair_once(site, Inconsistency.leftover_checkpoint, run.id) == "deleted"
    assert checkpoint_refs(site, run) == []
    assert not await in_ledger(site, run)


@pytest.mark.soak
async def test_the_sweep_deletes_the_checkpoint_of_a_terminated_run(parts: Servers, tmp_path: Path) -> None:
    """Its workflow is terminated, so nothing of it tidies up any more, and its row says that it is over."""
    async with open_installation(parts, "lost-checkpoint", tmp_path / "site") as site:
        await site.start_worker()
        run = await start_run_with_checkpoint(site)
        await site.handle(run).terminate()
        await site.workers[-1].stop(signal.SIGKILL, 5)
        async with site.database.transaction() as session:
            row = await session.get_one(Run, run.id, with_for_update=True)
            row.close(RunStatus.cancelled)
        assert checkpoint_refs(site, run) == [checkpoint_ref(run.id)]
        assert await find_finding(site, Inconsistency.leftover_checkpoint, run.id) is not None
        assert await repair_once(site, Inconsistency.leftover_checkpoint, run.id) == "deleted"
        assert checkpoint_refs(site, run) == []


async def test_a_remote_that_refuses_is_asked_again_later(site: Installation) -> None:
    run = await site.ended(await site.start(f"Work {COMPLETED}"))
    async with site.database.transaction() as session:
        (await record_intent(session, run.id, EffectKind.checkpoint)).complete_again()
        row = await session.get_one(Run, run.id)
        slug, row.repository_slug = row.repository_slug, "org/there-is-none"
    with pytest.raises(RepositoryNotFound):
        await repair_once(site, Inconsistency.leftover_checkpoint, run.id)
    async with site.database.read_only() as session:
        effect = await session.get_one(Effect, f"{run.id}:checkpoint")
    assert effect.attempts == 1
    assert effect.next_attempt_at is not None
    assert effect.next_attempt_at > now()
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.id)).repository_slug = slug
    assert await repair_once(site, Inconsistency.leftover_checkpoint, run.id) is not None
    assert EventType.checkpoint_refused not in [event.type for event in await site.events(run)]
