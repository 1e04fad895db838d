"""What changing a recurring task needs besides its row: Temporal's schedule."""

from temporalio.client import Client

from activities.schedules.temporal_schedule import sync_temporal_schedule
from api.after_commit import AfterCommit
from models.schedules.recurring_task import RecurringTask


def sync_schedule(task: RecurringTask, workflows: AfterCommit) -> None:
    """Have Temporal's schedule follow the row after the commit."""
    database, task_id = workflows.database, task.id

    async def send(client: Client) -> None:
        await sync_temporal_schedule(database, client, task_id)

    workflows.notify(task_id, send)
