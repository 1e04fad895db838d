"""Who is told of CI looks at once; who is not looks by itself, less and less often."""

from collections.abc import Iterator

from temporalio.client import WorkflowHistory

from tests.support.installation import Site, eventually

LONG = 6.0
"""Seconds of a pause between two looks, long enough to be told in the middle of it."""


def _long_pauses(history: WorkflowHistory) -> Iterator[int]:
    for event in history.events:
        timer = event.timer_started_event_attributes
        if timer.start_to_fire_timeout.ToTimedelta().total_seconds() > LONG:
            yield event.event_id


async def looks_rarely(site: Site, workflow_id: str) -> None:
    """Wait until its pauses are `LONG`."""
    handle = site.client.get_workflow_handle(workflow_id)

    async def is_slow() -> bool:
        return any(_long_pauses(await handle.fetch_history()))

    await eventually(is_slow, "its pauses have grown")


async def was_told(site: Site, workflow_id: str) -> bool:
    """Whether one of its long pauses was cut short by news."""
    history = await site.client.get_workflow_handle(workflow_id).fetch_history()
    long = set(_long_pauses(history))
    return any(event.timer_canceled_event_attributes.started_event_id in long for event in history.events)
