"""Waiting until the next model call of a session can be paid for: for weeks, without asking often."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from activities.budgets.waits import BudgetHold, BudgetWaitActivities, EndBudgetWait, StartBudgetWait
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import ReservationRefusal
from workflows.activity_calls import application_error, run_local
from workflows.agent.limits import SessionInput

RECHECK_INTERVAL = timedelta(minutes=30)
"""A raised cap is told by a signal; should it be lost, this is how long it takes to be noticed."""
MAX_RECHECK_SECONDS = 15.0
"""Seconds between two looks while other calls, which are being answered, hold what is left."""
MAX_JITTER_SECONDS = 60.0
"""Those who wait for a new month do not all come in its first second."""


def refusal_of(error: ActivityError) -> ReservationRefusal | None:
    """What an activity was refused for money; None when it failed of something else."""
    failure = application_error(error)
    if failure is None or failure.type not in list(BudgetWaitCode):
        return None
    return ReservationRefusal.model_validate(failure.details[0])


class SessionBudgetWait:
    """One session's wait."""

    def __init__(self, session: SessionInput) -> None:
        self.session = session
        self.has_budget_changed = False
        """A budget has changed since it was looked at."""

    async def wait(self, refusal: ReservationRefusal, is_stopping: Callable[[], bool]) -> bool:
        """True when the call can be paid for; False when the session is to stop, or its history is long."""
        session, looks = self.session, 0
        workflow.set_current_details(f"{session.label}: waits for money before turn {session.turn}.")
        ask = StartBudgetWait(session_id=session.session_id, job_id=session.job_id, refusal=refusal)
        try:
            while True:
                self.has_budget_changed = False  # what is told from now on is news to this look
                if (held := await run_local(BudgetWaitActivities.start_budget_wait, ask)) is None:
                    break
                patience = _recheck_timeout(held, workflow.now(), looks)
                with suppress(TimeoutError):
                    await workflow.wait_condition(
                        lambda: self.has_budget_changed or is_stopping(), timeout=patience
                    )
                looks += 1
                if is_stopping():
                    await self._end(goes_on=True)
                    break
                if workflow.info().is_continue_as_new_suggested():
                    break
        except asyncio.CancelledError:
            await self._end(goes_on=False)
            raise
        return held is None

    async def _end(self, *, goes_on: bool) -> None:
        session = self.session
        ask = EndBudgetWait(session_id=session.session_id, job_id=session.job_id, goes_on=goes_on)
        await run_local(BudgetWaitActivities.end_budget_wait, ask)


def _recheck_timeout(held: BudgetHold, now: datetime, looks: int) -> timedelta:
    """How long until it is looked at again, unless somebody tells before."""
    if held.code is BudgetWaitCode.reserved:
        return timedelta(
            seconds=min(MAX_RECHECK_SECONDS, 2.0**looks) * (0.75 + 0.5 * workflow.random().random())
        )
    if held.until is None:
        return RECHECK_INTERVAL
    turn = held.until + timedelta(seconds=MAX_JITTER_SECONDS * workflow.random().random())
    return min(RECHECK_INTERVAL, turn - now)
