"""The baseline of a run's own overhead: a workflow of activities that do nothing, with the SDK's defaults."""

from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def nothing() -> None:
    """An activity that only is one."""


@workflow.defn
class Bare:
    @workflow.run
    async def run(self, activities: int) -> None:
        for _ in range(activities):
            await workflow.execute_activity(nothing, start_to_close_timeout=timedelta(seconds=30))
