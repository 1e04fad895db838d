"""Parts of statements past the session (ADR 7) that change a job and tell of it in its log."""

from typing import Final

from kit.direct import jsonb
from kit.ids import new_id
from models.base import JsonObject, now
from models.event import EventType

PROGRESSED: Final = "current_step_progress = %(progress)s, last_progress_at = %(now)s, waiting = NULL"
"""What `Job.progress` sets."""
TELL: Final = """
    INSERT INTO event (id, project_id, subject_id, seq, type, data, created_at)
    SELECT %(event)s, project_id, id, event_seq, %(type)s, %(data)s, %(now)s FROM changed
"""
"""The end of a statement whose part `changed` counts the job's `event_seq` up, if it changes anything."""


def told(type: EventType, data: JsonObject) -> dict[str, object]:
    """The values of `TELL`; the rest of the statement may use `now` too."""
    return {"event": new_id("evt"), "type": type, "data": jsonb(data), "now": now()}
