"""The checks know every kind of row and every workflow that there is."""

from temporalio import workflow

from activities.github.hints import GITHUB_HINTS_WORKFLOW
from activities.reconcile.orphaned_workflows import JOB_WORKFLOWS
from activities.schedules.temporal_schedule import FIRING_WORKFLOW
from activities.trash.launch import PERMANENT_DELETION_WORKFLOW, PROJECT_DELETION_WORKFLOW
from activities.webhooks.waking import WEBHOOK_WORKFLOW
from models.chains.chain import Chain
from models.jobs.job import Job
from models.jobs.job_registry import JOB_KINDS, job_kind_of
from worker.registry import WORKFLOWS as REGISTERED
from workflows.reconcile.sweeps import ReconcileSweepWorkflow, StartSweepWorkflow
from workflows.trash.retention import TrashRetentionWorkflow

SHORT = {
    FIRING_WORKFLOW,
    GITHUB_HINTS_WORKFLOW,
    *(
        workflow._Definition.must_from_class(each).name
        for each in (StartSweepWorkflow, ReconcileSweepWorkflow, TrashRetentionWorkflow)
    ),
}
"""They have no row of their own and end within seconds."""
WEBHOOKS = {WEBHOOK_WORKFLOW}
"""They end by themselves once their endpoint is gone."""
DELETIONS = {PERMANENT_DELETION_WORKFLOW, PROJECT_DELETION_WORKFLOW}
"""They go on until their row is gone, and the trash is kept by a schedule of its own."""


def test_every_workflow_is_looked_for() -> None:
    names = {workflow._Definition.must_from_class(each).name for each in REGISTERED}
    assert names == {*JOB_WORKFLOWS} | SHORT | DELETIONS | WEBHOOKS


def test_every_table_of_jobs_and_chains_is_registered() -> None:
    tables = {table for base in (Job, Chain) for table in base.__subclasses__()}
    assert {kind.table for kind in JOB_KINDS.values()} == tables


def test_ids_of_a_kind_begin_with_its_prefix() -> None:
    for prefix, kind in JOB_KINDS.items():
        make = kind.table.model_fields["id"].default_factory
        assert make is not None
        assert job_kind_of(make()) is JOB_KINDS[prefix]  # type: ignore[call-arg]  # ours take nothing


def test_every_status_that_is_not_final_is_known() -> None:
    for kind in JOB_KINDS.values():
        ends = {"completed", "failed", "cancelled", "archived"}
        statuses = {*type(kind.unfinished[0])} - {*kind.unfinished}
        assert {str(status) for status in statuses} <= ends
