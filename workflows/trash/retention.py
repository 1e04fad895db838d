"""The trash kept, on a schedule: what expired is deleted for good, and no deletion is forgotten."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.trash.retention import TrashRetention
    from kit.temporal import SCHEDULED, SHORT


@workflow.defn(name="TrashKeeping")
class TrashRetentionWorkflow:
    @workflow.run
    async def run(self) -> int:
        workflow.set_current_details("Deletes what has expired; starts deletions that nobody started.")
        expired = await workflow.execute_activity_method(
            TrashRetention.purge_expired, **SCHEDULED, summary="delete what has expired"
        )
        started = await workflow.execute_activity_method(
            TrashRetention.start_deletions, **SHORT, summary="start what is to be deleted"
        )
        return expired + started
