"""An engine that was down while a recurring task should have fired twice catches up neither."""

import asyncio
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, ScheduleInfo

from activities.schedules.temporal_schedule import CATCHUP_WINDOW, sync_temporal_schedule
from kit.temporal import connect
from local.stack.ports import free_ports
from local.stack.temporal import NAMESPACE, Temporal
from models import RecurringTask
from models.base import now
from tests.integration.schedules.test_recurring_tasks import a_task, runs_of
from tests.support.installation import Installation, wait_until

pytestmark = pytest.mark.soak
AWAY, BACK = CATCHUP_WINDOW + timedelta(seconds=12), timedelta(seconds=20)


def soon(task: RecurringTask, moment: datetime) -> Iterator[datetime]:
    """Twice within seconds, where the rule says once a day; and once more when the engine is back."""
    yield from (moment + after for after in (timedelta(seconds=4), timedelta(seconds=6), AWAY + BACK))


async def of(client: Client, task: RecurringTask) -> ScheduleInfo:
    return (await client.get_schedule_handle(task.id).describe()).info


async def test_a_stack_stopped_over_two_firings_catches_up_none(
    site: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, ui_port = free_ports(2)
    engine = Temporal(tmp_path / "temporal", port, ui_port, tmp_path / "temporal.log")
    settings = site.settings.model_copy(
        update={"temporal_address": engine.address, "temporal_namespace": NAMESPACE}
    )
    task = await a_task(site)
    monkeypatch.setattr(RecurringTask, "firings_after", soon)
    running = await engine.start()
    await sync_temporal_schedule(site.database, await connect(settings), task.id)
    due = now()
    await running.stop(signal.SIGKILL, 5)
    await asyncio.sleep(AWAY.total_seconds())
    running = await engine.start()
    try:
        client = await connect(settings)

        async def has_fired() -> bool:
            return (await of(client, task)).num_actions > 0

        await wait_until(has_fired, "the engine goes on with what is due then")
        info = await of(client, task)
        assert info.num_actions == 1
        assert info.recent_actions[0].scheduled_at > due + AWAY
        assert await runs_of(site, task) == [], "nobody works for this engine"
    finally:
        await running.stop()
