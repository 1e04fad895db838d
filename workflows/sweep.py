"""The sweep, on a schedule: accepted work is never lost, whoever was killed before starting it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.sweep import Sweep
    from kit.temporal import QUICK


@workflow.defn(name="Sweep")
class SweepWorkflow:
    @workflow.run
    async def run(self) -> int:
        workflow.set_current_details("Starts what was accepted but has no workflow yet.")
        return await workflow.execute_activity_method(
            Sweep.start_pending_runs, **QUICK, summary="start what is pending"
        )
