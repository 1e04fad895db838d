"""A run as a part of something larger: the same workflow, waited for."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

from activities.jobs.launch import RunInput, build_run_start
from activities.runs.lifecycle import RunActivities
from kit.temporal import TASK_QUEUE, truncate_summary
from workflows.activity_calls import run_local

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = timedelta(seconds=2), timedelta(minutes=5)


async def run_child(input: RunInput) -> None:
    """Play a run to its end; how it ended is on its row.

    It outlives a parent that is terminated, and is cancelled with one that is cancelled.  One that was
    started before, as by a chain that was lost, is waited for; one whose workflow failed or was terminated is
    over when its row says so.
    """
    start = build_run_start(input)
    own = workflow.info().typed_search_attributes
    try:
        await workflow.execute_child_workflow(
            start.workflow,
            start.input,
            id=start.id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            task_queue=TASK_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            search_attributes=own.updated(*start.search_attributes),  # the installation's id is the parent's
            static_summary=truncate_summary(start.summary),
            priority=start.temporal_priority,
        )
    except WorkflowAlreadyStartedError:
        await _wait_until_finished(input.run_id)
    except ChildWorkflowError as error:
        if is_cancelled_exception(error):
            raise
        await _wait_until_finished(input.run_id)


async def _wait_until_finished(run_id: str) -> None:
    """Until its row says that it is over; a cancel is passed on to it."""
    pause = FIRST_POLL_INTERVAL
    try:
        while not await run_local(RunActivities.is_run_over, run_id):
            await workflow.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_INTERVAL)
    except asyncio.CancelledError:
        await workflow.get_external_workflow_handle(run_id).cancel()
        raise
