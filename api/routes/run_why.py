"""What a run waits for."""

from typing import Annotated

from api.keys import needs
from api.router import Router
from api.rows import found
from models.run import Run
from models.run_why import RunWhy, why
from models.run_wire import RUNS

router = Router("/runs/{id}", "Runs (lifecycle actions)")


@router.get("/why", needs("runs:read"))
async def explain_run(run: Annotated[Run, found(RUNS)]) -> RunWhy:
    """Explain what a run waits for: a worker, a provider's limit, CI, a person; or what it does.

    `code` is one of QUEUED, PAUSED, PROVIDER_LIMIT, RETRYING, CI, WORKING, BUDGET and ENDED; `message` says
    it in words, with what to do where there is something to do.
    """
    reason, message, until = why(run)
    return RunWhy(
        id=run.id,
        status=run.status,
        is_waiting=reason.is_wait,
        code=reason,
        message=message,
        until=until,
        last_progress_at=run.last_progress_at,
    )
