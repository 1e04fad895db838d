"""Damage: where rows, workflows, sandboxes, schedules and pull requests do not fit together.

Each kind has one check, which the sweep and `codecourier doctor` share.  A check looks twice: whoever changes
something has finished within the grace, and whatever is found is looked at again before it is repaired.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from pydantic import BaseModel

from models.base import now

GRACE: Final = timedelta(minutes=1)
"""What was heard of within so long is in the middle of being made or ended, and no damage."""
PAGE: Final = 500
"""Rows that are read at once."""


class Damage(StrEnum):
    lost_row = "lost row"
    pending_row = "row not started"
    stray_workflow = "stray workflow"
    stray_sandbox = "stray sandbox"
    lost_sandbox = "lost sandbox"
    schedule = "schedule"
    half_made_pr = "half-made PR"


class Finding(BaseModel):
    """What is wrong, where, and since when; what repairing does."""

    damage: Damage
    id: str
    """Of the row, workflow, sandbox or schedule."""
    what: str
    since: datetime | None = None
    cure: str


class Check(Protocol):
    damage: Damage

    def find(self) -> AsyncIterator[Finding]:
        """Everything of this kind.

        Raises GatewayError or RPCError for what could not be looked at, after all else was yielded.
        """
        ...

    async def repair(self, finding: Finding) -> str | None:
        """What was done, in words; None when it turned out well meanwhile.  Repeating it is harmless."""
        ...


def is_settled(moment: datetime | None, grace: timedelta) -> bool:
    """Whether something that happened then is long enough ago to be looked into."""
    return moment is not None and moment <= now() - grace
