"""One firing of a recurring task, started by its schedule."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.schedules.recurring_tasks import Firing, RecurringTaskActivities
    from activities.schedules.temporal_schedule import FIRING_WORKFLOW
    from kit.temporal import SCHEDULED, SCHEDULED_FOR


@workflow.defn(name=FIRING_WORKFLOW)
class RecurringTaskWorkflow:
    @workflow.run
    async def run(self, task_id: str) -> str | None:
        meant = workflow.info().typed_search_attributes.get(SCHEDULED_FOR) or workflow.info().start_time
        workflow.set_current_details(f"Starts the run that was due at {meant:%Y-%m-%d %H:%M} UTC.")
        firing = Firing(task_id=task_id, occurrence=meant)
        return await workflow.execute_activity_method(
            RecurringTaskActivities.start_due_run, firing, **SCHEDULED, summary="start the run"
        )
