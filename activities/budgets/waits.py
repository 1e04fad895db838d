"""What a session's workflow writes when a model call cannot be paid for: short transactions on our rows."""

import datetime as dt

from pydantic import BaseModel
from temporalio import activity

from kit.database import Database
from models import AgentSession
from models.base import now
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import ModelCall, ReservationRefusal
from models.budgets.wait import end_wait, wait_for_budget
from models.runs.run import Run


class StartBudgetWait(BaseModel):
    """A session whose call was refused."""

    session_id: str
    job_id: str
    refusal: ReservationRefusal


class BudgetHold(BaseModel):
    """What holds a session up."""

    code: BudgetWaitCode
    until: dt.datetime | None = None
    """When another month begins, with the whole budget of the project."""


class EndBudgetWait(BaseModel):
    """A session that waits for money no longer."""

    session_id: str
    job_id: str
    goes_on: bool
    """False: its job is about to end."""


class BudgetWaitActivities:
    def __init__(self, database: Database) -> None:
        self.database = database

    @activity.defn(name="hold_session")
    async def start_budget_wait(self, ask: StartBudgetWait) -> BudgetHold | None:
        """Show that the session waits for money, and tell the members once; None: there is enough by now.

        Repeated, it finds the same and writes nothing more: what is shown is replaced, the event of a pause
        needs a job that is not paused for it yet, and the budget remembers which cap was announced.
        """
        async with self.database.transaction() as session:
            agent = await session.get_one(AgentSession, ask.session_id)
            run = await session.get(Run, agent.job_id)
            call = ModelCall(
                agent.id, NO_SEQUENCE, agent.project_id, run.chain_id if run else None, agent.job_id, ""
            )
            held = await wait_for_budget(session, call, ask.refusal)
        if held is None:
            return None
        of_month = held.code is BudgetWaitCode.reached and agent.project_id in held.budget_ids
        return BudgetHold(code=held.code, until=next_month(now()) if of_month else None)

    @activity.defn(name="let_session_go")
    async def end_budget_wait(self, ask: EndBudgetWait) -> None:
        """Show that it goes on; repeated, it changes nothing."""
        async with self.database.transaction() as session:
            await end_wait(session, ask.session_id, ask.job_id, goes_on=ask.goes_on)


NO_SEQUENCE = -1
"""The sequence of a call that sets nothing aside."""


def next_month(moment: dt.datetime) -> dt.datetime:
    """When the calendar month after this moment's begins, in UTC."""
    first = moment.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + dt.timedelta(days=32)).replace(day=1)
