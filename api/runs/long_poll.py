"""Long polls: a request that waits for a run to end, holding nothing but itself.

It is woken by every event of the run, and looks only then, or now and then in case news was lost. Between two
looks it holds no connection, so any number of them may wait.
"""

import asyncio
from contextlib import suppress
from typing import Annotated, Final

from fastapi import Query, Request

from api.realtime import event_stream
from api.state import unit_of_work_of
from kit.ids import is_id

MAX_WAIT_SECONDS: Final = 50
BUSY_POLL_SECONDS: Final = 0.1
"""Between two looks at a run that has much to say."""
_READ_IS_FINISHED: Final = (
    "SELECT completed_at IS NOT NULL FROM run"
    " WHERE id = %(id)s AND project_id = %(project)s AND deleted_at IS NULL"
)
WaitSeconds = Annotated[
    int,
    Query(
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Wait so many seconds, 50 at most, for the run to end, and answer as soon as it has; "
        "when the time is over, the run is answered as it is.",
    ),
]


async def wait_for_end(request: Request, run_id: str, seconds: int) -> None:
    """Come back when the run has ended or is unknown, the time is over, or the process stops."""
    unit = unit_of_work_of(request)
    api = unit.api
    if seconds == 0 or request.scope.get("head") or not is_id(run_id, "r"):
        return
    with suppress(TimeoutError), api.events.wait_for_wake(run_id) as news:
        async with asyncio.timeout(seconds):
            while not api.events.closed:
                news.clear()
                found = await unit.read_pool.fetch(
                    _READ_IS_FINISHED, {"id": run_id, "project": unit.key.project_id}
                )
                if not found or found[0][0]:
                    return
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), event_stream.POLL_SECONDS)
                await asyncio.sleep(BUSY_POLL_SECONDS)
    await api.keys.authenticate(request.headers.get("authorization"))  # it may have been revoked meanwhile
