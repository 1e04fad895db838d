"""The checks know every kind of row and every workflow that there is."""

from temporalio import workflow

from activities.engine_rows import KINDS
from activities.stray_workflows import WORKFLOWS
from activities.task_schedules import FIRING_WORKFLOW
from models import jobs
from worker.registry import WORKFLOWS as REGISTERED
from workflows.sweep import SweepWorkflow

SHORT = {FIRING_WORKFLOW, workflow._Definition.must_from_class(SweepWorkflow).name}
"""They have no row and end within seconds."""


def test_every_workflow_is_looked_for() -> None:
    names = {workflow._Definition.must_from_class(each).name for each in REGISTERED}
    assert names == {*WORKFLOWS} | SHORT


def test_every_job_has_its_workflow() -> None:
    assert {prefix: KINDS[prefix].table for prefix in jobs.KINDS} == jobs.KINDS


def test_every_status_that_is_not_final_is_known() -> None:
    for kind in KINDS.values():
        ends = {"completed", "failed", "cancelled", "archived"}
        statuses = {*type(kind.unfinished[0])} - {*kind.unfinished}
        assert {str(status) for status in statuses} <= ends
