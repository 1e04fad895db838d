"""A chain of 500 sprints: each history stays short, and no sprint is lost between two of them."""

from pathlib import Path

import pytest
from temporalio import activity, workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs.launch import RunInput
from kit.database import Database
from kit.temporal import TASK_QUEUE
from models import Run
from models.chains.chain import ChainStatus
from models.jobs.job_registry import RUN_WORKFLOW
from models.runs.run import RunStatus
from tests.integration.chains.test_sprint_chains import a_chain
from tests.support.chains import chain_runs, start, wait_for_status
from tests.support.history_limits import MAX_HISTORY_EVENTS
from tests.support.installation import open_installation
from tests.support.stack import Servers
from worker.activities import activities_of, build_activities
from workflows.activity_calls import run_local
from workflows.chains.sprint_chain import SprintChainWorkflow

SPRINTS = 500
pytestmark = pytest.mark.soak


class Ended:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn
    async def end_run(self, run_id: str) -> None:
        async with self.database.transaction() as session:
            run = await session.get_one(Run, run_id, with_for_update=True)
            run.close(RunStatus.completed)
            run.pr_url = f"https://example.com/pull/{run.run_number}"


@workflow.defn(name=RUN_WORKFLOW)
class Brief:
    """In place of the run's own workflow, so that 500 of them take no hours: it ends at once."""

    @workflow.run
    async def run(self, input: RunInput) -> None:
        await run_local(Ended.end_run, input.run_id)


async def test_a_chain_of_500_sprints_stays_within_what_an_engine_likes(
    parts: Servers, tmp_path: Path
) -> None:
    async with open_installation(parts, "long-chain", tmp_path / "site") as site:
        activities = [
            *build_activities(site.client, site.settings, site.database),
            *activities_of(Ended(site.database)),
        ]
        async with Worker(
            site.client,
            task_queue=TASK_QUEUE,
            workflows=[SprintChainWorkflow, Brief],
            activities=activities,
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            chain = await start(site, await a_chain(site, SPRINTS))
            row = await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed, patience=480)
        runs = await chain_runs(site, chain)
        executions = [each async for each in site.client.list_workflows(f"WorkflowId = '{chain.id}'")]
    assert row.status is ChainStatus.completed
    assert row.sprint_run_ids == [run.id for run in runs]
    assert row.sprint_pr_urls == [run.pr_url for run in runs]
    assert len(runs) == SPRINTS
    assert len(executions) > 1
    assert all(each.history_length < MAX_HISTORY_EVENTS for each in executions)
