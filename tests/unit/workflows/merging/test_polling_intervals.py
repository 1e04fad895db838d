"""How often a merge looks at GitHub: less where webhooks tell of it."""

import shutil
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.jobs.launch import MergeInput
from activities.merging.pull_request_merge import CloseMerge, MergeAttemptInput, MergeAttemptResult, MergePlan
from kit.ids import new_id
from kit.temporal import DATA_CONVERTER, STATUS, TASK_QUEUE
from models.merging.merge_job import MergeStatus
from workflows.merging.pull_request_merge import PullRequestMergeWorkflow

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))


class GitHub:
    """CI never ends; counts how often it is looked at."""

    looks = 0

    @activity.defn
    async def begin_merge(self, job_id: str) -> MergePlan:
        return MergePlan(delete_branch=False)

    @activity.defn
    async def attempt_merge(self, ask: MergeAttemptInput) -> MergeAttemptResult:
        self.looks += 1
        return MergeAttemptResult(outcome="blocked", head_sha="a" * 40, message="CI is pending.")

    @activity.defn
    async def close_merge(self, end: CloseMerge) -> MergeStatus:
        return MergeStatus.failed


async def looks_in_a_day(engine: WorkflowEnvironment, *, has_webhooks: bool) -> int:
    github, told = (
        GitHub(),
        MergeInput(
            job_id=new_id("mj"), run_id=new_id("r"), project_id=new_id("prj"), repository="org/repo", number=1
        ),
    )
    async with Worker(
        engine.client,
        task_queue=TASK_QUEUE,
        workflows=[PullRequestMergeWorkflow],
        activities=[github.begin_merge, github.attempt_merge, github.close_merge],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        merge = await engine.client.start_workflow(
            PullRequestMergeWorkflow.run,
            told,
            id=told.job_id,
            task_queue=TASK_QUEUE,
            start_signal="checks_changed" if has_webhooks else None,
        )
        assert await merge.result() is MergeStatus.failed
    return github.looks


async def test_merge_with_webhooks_polls_github_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.merging.pull_request_merge.MAX_WAIT", timedelta(days=1))
    assert SERVER is not None
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=DATA_CONVERTER
    ) as engine:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await engine.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(search_attributes={STATUS.name: keyword})
        )
        without, with_them = [await looks_in_a_day(engine, has_webhooks=has) for has in (False, True)]
    assert 200 < without < 320
    assert 40 < with_them < 90
