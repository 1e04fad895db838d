"""The sweep, on a schedule: accepted work is never lost, and schedules are what their tasks say."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.recurring_tasks import RecurringTasks
    from activities.sweep import Sweep
    from kit.temporal import QUICK


@workflow.defn(name="Sweep")
class SweepWorkflow:
    @workflow.run
    async def run(self) -> int:
        workflow.set_current_details("Starts what was accepted but has no workflow yet; mends schedules.")
        started = await workflow.execute_activity_method(
            Sweep.start_pending_runs, **QUICK, summary="start what is pending"
        )
        mended = await workflow.execute_activity_method(
            RecurringTasks.reconcile_schedules, **QUICK, summary="hold schedules against tasks"
        )
        chains = await workflow.execute_activity_method(
            Sweep.start_pending_chains, **QUICK, summary="start chains that are pending"
        )
        jobs = await workflow.execute_activity_method(
            Sweep.start_pending_jobs, **QUICK, summary="start jobs that are pending"
        )
        merges = await workflow.execute_activity_method(
            Sweep.start_pending_merges, **QUICK, summary="start merges that are pending"
        )
        return started + mended + chains + jobs + merges
