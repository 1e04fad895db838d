"""The trash kept, on a schedule: what expired is deleted for good, and no deletion is forgotten."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.trash.retention import TrashKeeping
    from kit.temporal import PERIODIC, QUICK


@workflow.defn(name="TrashKeeping")
class TrashKeepingWorkflow:
    @workflow.run
    async def run(self) -> int:
        workflow.set_current_details("Deletes what has expired; starts deletions that nobody started.")
        expired = await workflow.execute_activity_method(
            TrashKeeping.purge_expired, **PERIODIC, summary="delete what has expired"
        )
        started = await workflow.execute_activity_method(
            TrashKeeping.start_deletions, **QUICK, summary="start what is to be deleted"
        )
        return expired + started
