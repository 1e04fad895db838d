"""Findings of the reconciler: where rows, workflows, sandboxes, schedules and pull requests do not agree.

Each kind has one check, which the sweep and `codecourier doctor` share.  A check looks twice: whoever changes
something has finished within the grace, and whatever is found is looked at again before it is repaired.  A
sweep that would repair unusually much stops itself: perhaps it looks at the wrong place.
"""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from pydantic import BaseModel

from models.base import now
from models.jobs.job_registry import PAGE_SIZE as PAGE_SIZE

GRACE: Final = timedelta(minutes=1)
"""What was heard of within so long is in the middle of being made or ended, and consistent."""


class Inconsistency(StrEnum):
    abandoned_row = "abandoned row"
    unstarted_row = "unstarted row"
    orphaned_workflow = "orphaned workflow"
    orphaned_sandbox = "orphaned sandbox"
    missing_sandbox = "missing sandbox"
    schedule = "inconsistent schedule"
    unsettled_pull_request = "unsettled pull request"
    leftover_checkpoint = "leftover checkpoint"
    abandoned_reservation = "abandoned reservation"
    expired_file = "expired file"


class Finding(BaseModel):
    """What does not agree, where, and since when; what repairing does."""

    kind: Inconsistency
    id: str
    """Of the row, workflow, sandbox or schedule."""
    what: str
    since: datetime | None = None
    repair: str
    is_doubtful: bool = False
    """Concluded from what somebody else does not have: many at once say more about our view of it."""
    needs_doctor: bool = False
    """Nothing that we know explains it, so only an operator may have it repaired."""


class Check(Protocol):
    kind: Inconsistency
    examined: int
    """What was looked at, among which the findings are."""

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


MAX_DOUBTFUL: Final = 20
MAX_DOUBTFUL_SHARE: Final = 0.2
MIN_DOUBTFUL: Final = 5
"""Fewer than so many are never unusual, whatever share of all they are."""


def is_unusual(doubtful: int, examined: int) -> bool:
    """Whether so many of what was examined cannot be repaired without an operator."""
    return doubtful > MAX_DOUBTFUL or (doubtful >= MIN_DOUBTFUL and doubtful > MAX_DOUBTFUL_SHARE * examined)
