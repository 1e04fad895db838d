"""Why a run is where it is: what it waits for, in words and as a code, with what to do about it."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from kit.wire import Moment, Read
from models.run import PrStatus, Run, RunStatus
from models.run_ending import BUDGET_EXCEEDED
from models.view import example

RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"


class Reason(StrEnum):
    queued = "QUEUED"
    paused = "PAUSED"
    provider_limit = "PROVIDER_LIMIT"
    retrying = "RETRYING"
    ci = "CI"
    budget = "BUDGET"
    working = "WORKING"
    ended = "ENDED"

    @property
    def is_wait(self) -> bool:
        """Nothing happens to the run until something else does."""
        return self not in (Reason.working, Reason.ended, Reason.budget)


class RunWhy(Read):
    """Why a run is where it is, and since when nothing was heard of it."""

    model_config = example(
        id=RUN, _id=RUN, status="running", isWaiting=True, code="PROVIDER_LIMIT",
        message="The model API is overloaded.", until="2026-01-15T10:06:12.345Z",
        lastProgressAt="2026-01-15T10:05:12.345Z",
    )  # fmt: skip
    status: RunStatus
    is_waiting: bool
    """False: it works, or it has ended."""
    code: Reason
    message: str
    until: Moment | None
    """When it is tried again, where that is known."""
    last_progress_at: Moment | None


class Why(NamedTuple):
    reason: Reason
    message: str
    until: datetime | None = None


def why(run: Run) -> Why:
    """From the run's row alone, which its workflow keeps true."""
    match run.status:
        case RunStatus.pending:
            return Why(Reason.queued, "It is accepted and waits for a worker: nothing has to be done.")
        case RunStatus.paused:
            return Why(Reason.paused, f"It was paused. Let it go on with POST /api/v1/runs/{run.id}/resume.")
        case RunStatus.running:
            return _at_work(run)
        case RunStatus.failed if run.error_code == BUDGET_EXCEEDED:
            return Why(Reason.budget, run.error_message or "The run's budget is used up.")
        case RunStatus.failed:
            return Why(Reason.ended, f"It failed ({run.error_code}): {run.error_message}")
    if run.pr_status is PrStatus.blocked_on_ci:
        return Why(Reason.ci, f"It is {run.status}; the merge of pull request {run.pr_number} waits for CI.")
    return Why(Reason.ended, f"It is {run.status}.")


def _at_work(run: Run) -> Why:
    if run.waiting:
        limited = run.waiting.get("code") == Reason.provider_limit
        until = run.waiting.get("until")
        return Why(
            Reason.provider_limit if limited else Reason.retrying,
            str(run.waiting.get("message")),
            datetime.fromisoformat(until) if isinstance(until, str) else None,
        )
    if run.pr_number is not None:
        return Why(Reason.ci, f"Pull request {run.pr_number} is open; the run ends when CI has spoken.")
    return Why(Reason.working, run.current_step_progress or "It is being prepared.")
