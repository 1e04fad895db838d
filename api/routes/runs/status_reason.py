"""What a run waits for."""

from typing import Annotated

from api.after_commit import DbSession
from api.auth import requires
from api.http.router import Router
from api.http.rows import path_row
from models.budgets.wait import load_reached_budgets
from models.runs.run import Run
from models.runs.run_queue import queue_position
from models.runs.run_schemas import RUNS
from models.runs.status_reason import RunStatusReason, explain_status

router = Router("/runs/{id}", "Runs (lifecycle actions)")


@router.get("/why", requires("runs:read"))
async def explain_run(run: Annotated[Run, path_row(RUNS)], session: DbSession) -> RunStatusReason:
    """Explain what a run waits for: its turn, a worker, a limit, CI, money, a person; or what it does.

    `code` is one of QUEUED, PAUSED, PROVIDER_LIMIT, BUDGET_REACHED, BUDGET_RESERVED, MODEL_WITHOUT_PRICE,
    RETRYING, CI, WORKING and ENDED; `message` says it in words, with what to do where there is something to
    do. Where a cap is reached, `budgets` says which one, how it stands, and which operation raises it.
    """
    reason, message, until = explain_status(run)
    place = await queue_position(session, run)
    return RunStatusReason(
        id=run.id,
        status=run.status,
        is_waiting=reason.is_wait,
        code=reason,
        message=message,
        queue_position=place,
        until=until,
        last_progress_at=run.last_progress_at,
        budgets=await load_reached_budgets(session, run.id) if run.is_waiting_for_budget else [],
    )
