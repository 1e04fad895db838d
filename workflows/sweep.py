"""The sweep, on a schedule: accepted work is never lost, and what does not fit together is mended."""

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.damage import Damage
    from activities.recurring_tasks import RecurringTasks
    from activities.sweep import Sweep
    from kit.temporal import PATIENT, QUICK
    from workflows.calls import cause

MENDED = (
    Damage.lost_row,
    Damage.stray_workflow,
    Damage.stray_sandbox,
    Damage.lost_sandbox,
    Damage.half_made_pr,
)
"""After what is pending was started and schedules were held against tasks."""


@workflow.defn(name="Sweep")
class SweepWorkflow:
    @workflow.run
    async def run(self) -> int:
        workflow.set_current_details("Starts what was accepted but has no workflow yet; mends what is wrong.")
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
        return started + mended + chains + jobs + sum([await self._mend(damage) for damage in MENDED])

    async def _mend(self, damage: Damage) -> int:
        """What cannot be mended now is found again by the next sweep."""
        try:
            return await workflow.execute_activity_method(
                Sweep.mend, damage, **PATIENT, summary=f"look for damage: {damage}"
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            workflow.logger.warning("damage was left: %s: %s", damage, cause(error))
            return 0
