"""The start of what was accepted and has no workflow yet; it waits for nothing outside but Temporal."""

from typing import Final

from temporalio import activity
from temporalio.client import Client

from activities.github.hints import start_hint_workflow
from activities.reconcile.admission import require_admission
from activities.reconcile.inconsistent_schedules import InconsistentSchedules
from activities.reconcile.isolation import attempt_each
from activities.reconcile.reports import Report, SweepOrder, Tally
from activities.reconcile.unstarted_rows import GRACE, UnstartedRows
from activities.schedules.temporal_schedule import sync_temporal_schedule
from activities.webhooks.waking import WebhookInput, find_endpoints_behind, wake_endpoint
from kit.database import Database
from kit.logs import logger
from models.base import now
from models.github.hint import delete_expired_hints, find_hinted_runs
from models.jobs.job_registry import WorkflowRow

UNSTARTED_ROW: Final = "unstarted row"
GITHUB_HINT: Final = "hint of GitHub's"
OUTDATED_SCHEDULE: Final = "untold schedule"
ENDPOINT_BEHIND: Final = "webhook endpoint behind"

log = logger(__name__)


class StartSweepActivities:
    """Each activity may be killed and repeated at any point: what was started before is left alone.

    Each thing is started by itself: what fails is logged, and found again by the next sweep.
    """

    def __init__(self, database: Database, client: Client) -> None:
        self.database, self.client = database, client

    @activity.defn
    async def start_unstarted_rows(self, order: SweepOrder) -> Report:
        """Start the workflow of every row that was accepted and has none, and of hints nobody looked into."""
        await require_admission(self.database, self.client, order.installation)
        rows, tally = UnstartedRows(self.database, self.client), Tally()

        async def start(row: WorkflowRow) -> None:
            await rows.start(row)
            log.info("reconcile.started", id=row.id)

        async for page in rows.pages():
            tally.add(await attempt_each(start, {row.id: row for row in page}))
        return Report.of(UNSTARTED_ROW, tally) + await self._start_hint_workflows()

    async def _start_hint_workflows(self) -> Report:
        """Have hints read on GitHub that nobody has read; the oldest are given up."""
        tally = Tally()

        async def start(run_id: str) -> None:
            await start_hint_workflow(self.client, run_id)

        async with self.database.transaction() as session:
            await delete_expired_hints(session)
            runs = await find_hinted_runs(session, now() - GRACE)
        tally.add(await attempt_each(start, {run_id: run_id for run_id in runs}))
        return Report.of(GITHUB_HINT, tally)

    @activity.defn(name="tell_schedules")
    async def update_schedules(self, order: SweepOrder) -> Report:
        """Tell Temporal of recurring tasks that were changed while it was away."""
        await require_admission(self.database, self.client, order.installation)
        tally = Tally()

        async def tell(task_id: str) -> None:
            await sync_temporal_schedule(self.database, self.client, task_id)
            log.info("reconcile.schedule_told", task_id=task_id)

        outdated = await InconsistentSchedules(self.database, self.client).list_outdated()
        tally.add(await attempt_each(tell, {task_id: task_id for task_id in outdated}))
        return Report.of(OUTDATED_SCHEDULE, tally)

    @activity.defn
    async def wake_webhooks(self, order: SweepOrder) -> Report:
        """Wake every endpoint that is behind; one that is woken twice looks twice, which is harmless."""
        await require_admission(self.database, self.client, order.installation)
        tally = Tally()

        async def rouse(endpoint: WebhookInput) -> None:
            await wake_endpoint(self.client, endpoint)

        behind = await find_endpoints_behind(self.database, None)
        tally.add(await attempt_each(rouse, {each.endpoint_id: each for each in behind}))
        if behind:
            log.info("webhooks.woken", count=len(behind))
        return Report.of(ENDPOINT_BEHIND, tally)
