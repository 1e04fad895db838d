"""Active time: how long an attempt of an activity was at work, which is what the limits of jobs count."""

from pydantic import BaseModel


class TimedResult(BaseModel):
    """The result of an activity whose time counts against the time limit of its job."""

    active_seconds: float = 0.0
    """How long the attempt that gave this result was at work, by the monotonic clock of its worker.

    The worker's interceptor sets it.  Attempts that failed or were killed, and what passed between two of
    them, are no part of it, and neither is the time in which the host slept or its clock was set.
    """
