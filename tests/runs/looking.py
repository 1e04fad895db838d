"""Who is told of CI looks at once; who is not looks by itself, less and less often."""

from tests.runs.site import Site, eventually

TOLD, POLLED = 5.0, 6.0
"""Seconds: what is told of CI has looked by the first, on the busiest machine; by itself it would after more
than the second."""


async def looks_rarely(site: Site, workflow_id: str) -> None:
    """Wait until its pauses are longer than `POLLED`."""
    handle = site.client.get_workflow_handle(workflow_id)

    async def is_slow() -> bool:
        events = (await handle.fetch_history()).events
        timers = [each.timer_started_event_attributes.start_to_fire_timeout for each in events]
        return any(timer.ToTimedelta().total_seconds() > POLLED for timer in timers)

    await eventually(is_slow, "its pauses have grown", 60)
