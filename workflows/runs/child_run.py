"""A run as a part of something larger: the same workflow, waited for."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError, is_cancelled_exception
from temporalio.workflow import ParentClosePolicy

from activities.jobs.launch import RunInput, run_start
from activities.runs.lifecycle import RunActivities
from kit.temporal import TASK_QUEUE, fit_summary
from workflows.activity_calls import instantly

FIRST_LOOK, LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=5)


async def play_run(input: RunInput) -> None:
    """Play a run to its end; how it ended is on its row.

    It outlives a parent that is terminated, and is cancelled with one that is cancelled.  One that was
    started before, as by a chain that was lost, is waited for; one whose workflow failed or was terminated is
    over when its row says so.
    """
    start = run_start(input)
    own = workflow.info().typed_search_attributes
    try:
        await workflow.execute_child_workflow(
            start.workflow,
            start.input,
            id=start.id,
            id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            task_queue=TASK_QUEUE,
            parent_close_policy=ParentClosePolicy.ABANDON,
            search_attributes=own.updated(*start.attributes),  # the installation's id is the parent's
            static_summary=fit_summary(start.summary),
            priority=start.temporal_priority,
        )
    except WorkflowAlreadyStartedError:
        await _await_end(input.run_id)
    except ChildWorkflowError as error:
        if is_cancelled_exception(error):
            raise
        await _await_end(input.run_id)


async def _await_end(run_id: str) -> None:
    """Until its row says that it is over; a cancel is passed on to it."""
    pause = FIRST_LOOK
    try:
        while not await instantly(RunActivities.is_run_over, run_id):
            await workflow.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
    except asyncio.CancelledError:
        await workflow.get_external_workflow_handle(run_id).cancel()
        raise
