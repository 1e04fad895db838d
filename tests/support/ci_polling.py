"""Who is told of CI looks at once; who is not looks by itself, less and less often."""

from collections.abc import Iterator

from temporalio.client import WorkflowHistory

from tests.support.installation import Installation, wait_until

SLOW_POLL_SECONDS = 6.0
"""Seconds of a pause between two looks, long enough to be told in the middle of it."""


def _slow_timers(history: WorkflowHistory) -> Iterator[int]:
    for event in history.events:
        timer = event.timer_started_event_attributes
        if timer.start_to_fire_timeout.ToTimedelta().total_seconds() > SLOW_POLL_SECONDS:
            yield event.event_id


async def wait_for_slow_polling(site: Installation, workflow_id: str) -> None:
    """Wait until its pauses are `SLOW_POLL_SECONDS`."""
    handle = site.client.get_workflow_handle(workflow_id)

    async def is_slow() -> bool:
        return any(_slow_timers(await handle.fetch_history()))

    await wait_until(is_slow, "its pauses have grown")


async def was_woken_by_webhook(site: Installation, workflow_id: str) -> bool:
    """Whether one of its long pauses was cut short by news."""
    history = await site.client.get_workflow_handle(workflow_id).fetch_history()
    long = set(_slow_timers(history))
    return any(event.timer_canceled_event_attributes.started_event_id in long for event in history.events)
