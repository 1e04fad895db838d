"""What changing a recurring task needs besides its row: the engine's schedule."""

from temporalio.client import Client

from activities.schedules.temporal_schedule import sync_temporal_schedule
from api.after_commit import AfterCommit
from models.schedules.recurring_task import RecurringTask


def sync_schedule(task: RecurringTask, workflows: AfterCommit) -> None:
    """Have the engine's schedule follow the row after the commit."""
    database, task_id = workflows.database, task.id

    async def told(client: Client) -> None:
        await sync_temporal_schedule(database, client, task_id)

    workflows.notify(task_id, told)
