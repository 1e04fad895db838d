"""A bad version is deployed: workflows close their rows, activities are tried until it is corrected."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from temporalio.client import WorkflowFailureError

import worker.main
from activities.agent.tool_calls import ToolCallActivities
from models import Run
from models.chains.chain import ChainStatus
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.runs.status_reason import Reason, explain_status
from tests.chaos.failing_workflows import (
    FailingAgentSessionWorkflow,
    FailingRunWorkflow,
    FailingSprintChainWorkflow,
    replace_workflows,
)
from tests.integration.chains import test_sprint_chains as sprints
from tests.support import chains
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.outcomes import outcome_of
from tests.support.scenarios import create, finish, register_scenario
from tests.support.stack import Servers

BRIEF = register_scenario("brief-with-bugs", create("a.txt", "a\n"), finish())


@asynccontextmanager
async def working(parts: Servers, name: str, directory: Path) -> AsyncIterator[Installation]:
    """A site with a worker in this process, whose code a test may change."""
    async with open_installation(parts, name, directory / "site") as site:
        main, agents, *_ = worker.main.build_workers(site.client, site.settings, site.database)
        async with main, agents:
            yield site


@pytest.mark.parametrize("buggy", [FailingRunWorkflow, FailingAgentSessionWorkflow])
async def test_a_bug_in_workflow_code_fails_the_run_and_says_so(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, buggy: type
) -> None:
    monkeypatch.setattr(worker.main, "WORKFLOWS", replace_workflows(buggy))
    async with working(parts, buggy.__name__.lower(), tmp_path) as site:
        run = await site.start(f"Brief {BRIEF}")
        with suppress(WorkflowFailureError):
            await site.ended(run)
        ended, last = await site.read(run), (await site.events(run))[-1]
    assert (ended.status, ended.error_code) == (RunStatus.failed, "INTERNAL")
    assert "bug" in str(ended.error_message)
    assert "division" not in str(ended.error_message)
    assert last.type == EventType.run_failed


async def test_a_bug_in_workflow_code_fails_the_chain_and_says_so(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.main, "WORKFLOWS", replace_workflows(FailingSprintChainWorkflow))
    async with working(parts, "buggychain", tmp_path) as site:
        chain = await chains.start(site, await sprints.a_chain(site, 2))
        ended = await chains.wait_for_status(site, chain, ChainStatus.failed, ChainStatus.completed)
    assert (ended.status, ended.error_code) == (ChainStatus.failed, "INTERNAL")


async def test_a_bug_in_an_activity_is_tried_again_until_it_is_corrected(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as bad_version:
        bad_version.setattr(ToolCallActivities, "_load_session", _fail)
        async with working(parts, "buggy-calls", tmp_path) as site:
            run = await site.start(f"Brief {BRIEF}")
            row = await retrying(site, run)
            assert row.waiting is not None
            assert row.waiting["code"] == "RETRYING"
            assert str(row.waiting["message"]).startswith("tool call is tried again: An unexpected error")
            assert explain_status(row).reason is Reason.retrying
            bad_version.undo()
            outcome = await outcome_of(site, run, 120)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.run.waiting is None
    assert outcome.file("a.txt") == "a\n"


async def _fail(*_: object) -> None:
    raise KeyError("a bug")


async def retrying(site: Installation, run: Run) -> Run:
    """The run's row once it says that something is tried again."""

    async def is_retrying() -> bool:
        return (await site.read(run)).waiting is not None

    await wait_until(is_retrying, f"{run.id} says that it is tried again")
    return await site.read(run)
