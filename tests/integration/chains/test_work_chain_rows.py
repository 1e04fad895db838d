"""What a work chain writes, and once: as when a worker dies after it was written, before the engine knew."""

import pytest

from activities.chains.lifecycle import CloseChain
from activities.chains.work_chain import ChainIssue, IssueEnd, WorkChainActivities
from activities.reconcile.reports import SweepOrder
from activities.reconcile.start_sweep import StartSweepActivities
from kit.errors import Conflict
from models import Issue, Run
from models.chains.chain import ChainStatus
from models.issues.issue import IssueStatus
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from tests.integration.chains.test_work_chains import WORKED, a_chain, events_of, issues_of, told
from tests.support.chains import chain_runs
from tests.support.installation import Installation


@pytest.mark.parametrize("status", [RunStatus.completed, RunStatus.failed])
async def test_ends_are_told_once(site: Installation, status: RunStatus) -> None:
    chain = await a_chain(site, WORKED, WORKED, status=ChainStatus.running)
    activities = WorkChainActivities(site.database, site.settings)
    place = ChainIssue(chain_id=chain.id, index=0)
    run = await activities.begin_issue(place)
    assert run is not None
    assert await activities.begin_issue(place) == run
    async with site.database.transaction() as session:
        (await session.get_one(Run, run.run_id)).close(status)
    end = IssueEnd(run_id=run.run_id, **place.model_dump())
    assert [await activities.end_issue(end) for _ in range(2)] == [status] * 2
    async with site.database.transaction() as session:
        (await session.get_one(Issue, chain.issue_ids[1])).trash()
    skipped = ChainIssue(chain_id=chain.id, index=1)
    assert [await activities.begin_issue(skipped) for _ in range(2)] == [None, None]
    close = CloseChain(chain_id=chain.id, status=ChainStatus.completed)
    assert [await activities.close_work_chain(close) for _ in range(2)] == [ChainStatus.completed] * 2
    ended = "chain.issue-completed" if status is RunStatus.completed else "chain.issue-failed"
    assert await events_of(site, chain.id) == [
        "chain.issue-started",
        ended,
        "chain.issue-skipped",
        "chain.ended",
    ]
    assert await told(site, chain) == [NotificationType.workflow_completed]


async def test_a_run_that_no_engine_has_ends_with_its_chain(site: Installation) -> None:
    """As when the chain is cancelled after the run was made; the sweep leaves such a run to its chain."""
    chain = await a_chain(site, WORKED, status=ChainStatus.running)
    activities = WorkChainActivities(site.database, site.settings)
    told_run = await activities.begin_issue(ChainIssue(chain_id=chain.id, index=0))
    assert told_run is not None
    async with site.database.transaction() as session:
        row = await session.get_one(Run, told_run.run_id)
        row.created_at = chain.created_at.replace(year=2020)
    order = SweepOrder(installation=site.installation)
    await StartSweepActivities(site.database, site.client).start_unstarted_rows(order)
    [run] = await chain_runs(site, chain)
    assert run.status is RunStatus.pending
    await activities.close_work_chain(CloseChain(chain_id=chain.id, status=ChainStatus.cancelled))
    [run] = await chain_runs(site, chain)
    assert run.status is RunStatus.cancelled
    [issue] = await issues_of(site, chain)
    assert issue.status is IssueStatus.failed
    assert await events_of(site, run.id) == ["run.created", "run.cancelled"]


async def test_a_chain_that_has_ended_begins_no_issue(site: Installation) -> None:
    """As asked by a worker that everybody thought dead."""
    chain = await a_chain(site, WORKED, status=ChainStatus.cancelled)
    with pytest.raises(Conflict):
        await WorkChainActivities(site.database, site.settings).begin_issue(
            ChainIssue(chain_id=chain.id, index=0)
        )
    assert await chain_runs(site, chain) == []


async def test_what_was_merged_is_no_base_any_more(site: Installation) -> None:
    """Its branch may be gone, and what it did is in the branch below."""
    chain = await a_chain(site, WORKED, WORKED, WORKED, status=ChainStatus.running, branch_name="next")
    activities = WorkChainActivities(site.database, site.settings)
    bases = []
    for index, pr_status in enumerate([PrStatus.created, PrStatus.merged, None]):
        place = ChainIssue(chain_id=chain.id, index=index)
        begun_run = await activities.begin_issue(place)
        assert begun_run is not None
        async with site.database.transaction() as session:
            run = await session.get_one(Run, begun_run.run_id)
            run.close(RunStatus.completed)
            run.pr_status, run.pr_url = pr_status, f"https://github.com/org/repo/pull/{index}"
        await activities.end_issue(IssueEnd(run_id=run.id, **place.model_dump()))
        bases.append(run.base_branch)
    first = (await chain_runs(site, chain))[0]
    assert bases == ["next", first.branch_name, first.branch_name]
