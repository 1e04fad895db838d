"""Faults of a sandbox, laid by a test: what E2B's sandboxes do on bad days, as far as their clients see it.

    PUT /sandboxes/{id}/faults    {"unknownLookups": 1}

answers 204, 404 for a sandbox that is gone.  E2B has no such route.  Each field is a fault by itself:

  unknownLookups      the control plane answers so many more look-ups (get, connect, timeout, pause) with 404
  unreachableSeconds  the data plane answers 502 for so long; streams are cut at once, what runs goes on
  diesInSeconds       killed, slowly: the control plane has forgotten it, its processes live for so long yet
  forgets             its next resume is partial: the files are those of now, and no process is left

The plain losses need no fault: `DELETE /sandboxes/{id}` kills, `POST …/pause` pauses in the middle of what
runs, `POST …/timeout` with a second or two does what a lease does that is over.
"""

import time
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class NewFaults(BaseModel):
    """The body of `PUT /sandboxes/{id}/faults`."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    unknown_lookups: int = Field(default=0, ge=0)
    unreachable_seconds: float = Field(default=0, ge=0)
    dies_in_seconds: float | None = Field(default=None, ge=0)
    forgets: bool = False


@dataclass
class Faults:
    """Those that a sandbox has now; a restart of the server forgets them."""

    unknown_lookups: int = 0
    unreachable_until: float = 0.0
    """By the monotonic clock."""

    def lay(self, new: NewFaults) -> None:
        self.unknown_lookups = new.unknown_lookups
        self.unreachable_until = time.monotonic() + new.unreachable_seconds

    @property
    def is_unreachable(self) -> bool:
        return time.monotonic() < self.unreachable_until

    def hides(self) -> bool:
        """Whether this look-up is one that does not find it."""
        if self.unknown_lookups == 0:
            return False
        self.unknown_lookups -= 1
        return True
