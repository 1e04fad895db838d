"""A run as a part of something larger: the same workflow, waited for."""

from temporalio import workflow
from temporalio.common import Priority
from temporalio.workflow import ParentClosePolicy

from activities.starting import RUN_WORKFLOW, RunInput, attributes_of, summary_of
from kit.temporal import TASK_QUEUE


async def play_run(input: RunInput) -> None:
    """Play a pending run to its end; how it ended is on its row.

    It outlives a parent that is terminated, and is cancelled with one that is cancelled.
    """
    await workflow.execute_child_workflow(
        RUN_WORKFLOW,
        input,
        id=input.run_id,
        task_queue=TASK_QUEUE,
        parent_close_policy=ParentClosePolicy.ABANDON,
        search_attributes=attributes_of(input),
        static_summary=summary_of(input),
        priority=Priority(fairness_key=input.project_id),
    )
