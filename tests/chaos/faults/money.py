"""Money that just does not suffice, while workers die."""

from decimal import Decimal

from sqlmodel import col

from api.routes.budgets.caps import BUDGET_CHANGED_SIGNAL
from models import Budget, Run, UsageRecord
from models.base import now
from models.budgets.wait import change_cap
from tests.chaos.environment import FaultEnvironment
from tests.chaos.fault import fault
from tests.support.outcomes import Severity
from tests.support.scenarios import Turn, bash, finish, register_scenario

CAP = Decimal("0.12")
"""Dollars: some turns of the runs are within it, and not all."""


def dear(turn: Turn) -> Turn:
    """The same turn at about two cents."""
    return {**turn, "text": "So it goes. " * 400}


DEAR = register_scenario(
    "dearly", dear(bash("true")), dear(bash("true")), dear(bash("echo once >> once.txt")), finish("Spent it.")
)


@fault("budget-edge", "A cap is reached in the middle of runs whose workers are killed; then it is raised.")
async def budget_edge(stage: FaultEnvironment) -> None:
    month = now().date().replace(day=1)
    await stage.site.add(Budget(id=stage.project.id, project_id=stage.project.id, cap_usd=CAP, month=month))
    await stage.accept_all(DEAR)
    for _ in range(3):
        await stage.wait(12)
        await stage.kill_workers()
    await stage.wait(20)
    if (spent := await spending(stage)) > CAP:
        stage.found(Severity.wrong, f"{spent} dollars are spent of {CAP}")
    async with stage.site.database.transaction() as session:
        _, waiting = await change_cap(session, stage.project.id, stage.project.id, Decimal(100))
    for session_id in waiting:  # as the API does after its commit; else they look after half an hour
        await stage.site.client.get_workflow_handle(session_id).signal(BUDGET_CHANGED_SIGNAL)


async def spending(stage: FaultEnvironment) -> Decimal:
    """What the project's runs have cost so far."""
    runs = await stage.site.rows(Run, col(Run.project_id) == stage.project.id, col(Run.id))
    of_runs = col(UsageRecord.run_id).in_([run.id for run in runs])
    return sum(
        (each.cost_usd for each in await stage.site.rows(UsageRecord, of_runs, col(UsageRecord.id))),
        Decimal(0),
    )
