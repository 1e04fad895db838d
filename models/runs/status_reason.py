"""Why a run is where it is: what it waits for, in words and as a code, with what to do about it."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from kit.schemas import Read, UtcTimestamp
from models.budgets.money_code import BudgetWaitCode
from models.budgets.schemas import ReachedBudget
from models.json_view import example
from models.runs.run import PrStatus, Run, RunStatus

RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"


class Reason(StrEnum):
    """Why a run is where it is: it waits for a worker or for its turn (`QUEUED`), a person (`PAUSED`), a
    provider's limit (`PROVIDER_LIMIT`), another attempt (`RETRYING`), `CI`, or money (`BUDGET_REACHED`,
    `BUDGET_RESERVED`, `MODEL_WITHOUT_PRICE`); or it is `WORKING`, or has `ENDED`."""

    queued = "QUEUED"
    paused = "PAUSED"
    provider_limit = "PROVIDER_LIMIT"
    retrying = "RETRYING"
    ci = "CI"
    budget_reached = "BUDGET_REACHED"
    budget_reserved = "BUDGET_RESERVED"
    model_without_price = "MODEL_WITHOUT_PRICE"
    working = "WORKING"
    ended = "ENDED"

    @property
    def is_wait(self) -> bool:
        """Nothing happens to the run until something else does."""
        return self not in (Reason.working, Reason.ended)


class RunStatusReason(Read):
    """Why a run is where it is, and since when nothing was heard of it."""

    model_config = example(
        id=RUN,
        _id=RUN,
        status="running",
        isWaiting=True,
        code="PROVIDER_LIMIT",
        message="The model API is overloaded.",
        queuePosition=None,
        until="2026-01-15T10:06:12.345Z",
        lastProgressAt="2026-01-15T10:05:12.345Z",
        budgets=[],
    )
    status: RunStatus
    """The run's status."""
    is_waiting: bool
    """False: it works, or it has ended."""
    code: Reason
    """The reason, for programs."""
    message: str
    """The reason in words, with what to do about it where something has to be done."""
    queue_position: int | None
    """Where it stands among the project's runs that wait for their turn, from 1 on; null when it does not."""
    until: UtcTimestamp | None
    """When it is tried again, where that is known."""
    last_progress_at: UtcTimestamp | None
    """When the run last did anything; null before it begins."""
    budgets: list[ReachedBudget]
    """The caps that it waits for, as they are now; empty unless it waits for money."""


class StatusExplanation(NamedTuple):
    reason: Reason
    message: str
    until: datetime | None = None


def explain_status(run: Run) -> StatusExplanation:
    """From the run's row alone, which its workflow keeps true."""
    match run.status:
        case RunStatus.pending if run.is_queued:
            return StatusExplanation(
                Reason.queued,
                "It waits for its turn: the project has as many runs at work as `maxConcurrentRuns` allows"
                " (POST /api/v1/project/settings/update).",
            )
        case RunStatus.pending:
            return StatusExplanation(
                Reason.queued, "It is accepted and waits for a worker: nothing has to be done."
            )
        case RunStatus.paused if run.is_waiting_for_budget:
            return _explain_active(run)
        case RunStatus.paused:
            return StatusExplanation(
                Reason.paused, f"It was paused. Let it go on with POST /api/v1/runs/{run.id}/resume."
            )
        case RunStatus.running:
            return _explain_active(run)
        case RunStatus.failed:
            return StatusExplanation(Reason.ended, f"It failed ({run.error_code}): {run.error_message}")
    if run.pr_status is PrStatus.blocked_on_ci:
        return StatusExplanation(
            Reason.ci, f"It is {run.status}; the merge of pull request {run.pr_number} waits for CI."
        )
    return StatusExplanation(Reason.ended, f"It is {run.status}.")


def _explain_active(run: Run) -> StatusExplanation:
    if run.waiting:
        code = str(run.waiting.get("code"))
        known = (Reason.provider_limit, *map(Reason, BudgetWaitCode))
        until = run.waiting.get("until")
        return StatusExplanation(
            Reason(code) if code in known else Reason.retrying,
            f"{run.waiting.get('message')}{_pause_hint(run)}",
            datetime.fromisoformat(until) if isinstance(until, str) else None,
        )
    if run.pr_number is not None:
        return StatusExplanation(
            Reason.ci, f"Pull request {run.pr_number} is open; the run ends when CI has spoken."
        )
    return StatusExplanation(Reason.working, run.current_step_progress or "It is being prepared.")


def _pause_hint(run: Run) -> str:
    """What has to be done besides, where a person has paused a run that waits for money."""
    if run.status is not RunStatus.paused or run.paused_at is None:
        return ""
    return f" It was paused, too: let it go on with POST /api/v1/runs/{run.id}/resume."
