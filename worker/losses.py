"""Losses: why an activity is tried again, where that is because its worker was lost."""

from typing import Final

from temporalio import activity
from temporalio.api.failure.v1 import Failure
from temporalio.service import RPCError

from kit import logs

log = logs.logger("worker.activity")
_WORKER_SHUTDOWN: Final = "WorkerShutdown"
"""The type of the failure that a worker gives for what it had no time to finish."""


async def find_worker_loss(info: activity.Info) -> str | None:
    """What became of the worker that had this activity before; None if the attempt ended in any other way.

    Temporal knows: the attempt's last failure is a time-out, or the farewell of a worker that shut down.
    """
    if info.attempt == 1 or info.is_local or info.workflow_id is None:
        return None
    workflow = activity.client().get_workflow_handle(info.workflow_id, run_id=info.workflow_run_id)
    try:
        description = await workflow.describe()
    except RPCError as error:
        log.warning("activity.loss_unknown", reason=str(error.status))
        return None
    for pending in description.raw_description.pending_activities:
        if pending.activity_id == info.activity_id:
            return _loss_text(pending.last_failure)
    return None


def _loss_text(failure: Failure) -> str | None:
    if failure.HasField("timeout_failure_info"):
        return "Its worker was lost: nothing was heard of it any more."
    if _WORKER_SHUTDOWN in (failure.application_failure_info.type, failure.message):
        return "Its worker was shut down."
    return None
