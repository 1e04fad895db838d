"""Commands to runs: each is checked against the row, then sent to the workflow, which writes it."""

from typing import Annotated

from api.after_commit import AfterCommitDep, DbSession, start_after_commit
from api.agent.messages import queue_message
from api.auth import requires
from api.http.responses import Item
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.routes.budgets.caps import wake_sessions
from kit.errors import Conflict
from models.agent.session import FollowUp
from models.budgets.wait import load_shortage
from models.runs.run import Run, RunStatus
from models.runs.run_completion import publish_completion
from models.runs.run_schemas import RUN_MESSAGES, RUNS, RunMessage, RunMessageRead, RunRead, RunRestart
from models.runs.run_start import restart_run

router = Router("/runs/{id}", "Runs (lifecycle actions)")
WRITE, CANCEL = requires("runs:write"), requires("runs:cancel")
Runs = Annotated[ProjectRows[Run, RunRead], project_rows(RUNS)]
Messages = Annotated[ProjectRows[FollowUp, RunMessageRead], project_rows(RUN_MESSAGES)]


@router.post("/cancel", CANCEL)
async def cancel_run(id: str, runs: Runs, session: DbSession, workflows: AfterCommitDep) -> Item[RunRead]:
    """Cancel a run: its agent stops, its sandbox is removed, and nothing is pushed any more.

    A pending run, queued or not, is cancelled at once; a running one within seconds.
    """
    run = await runs.get(id, lock=True)
    if run.status is RunStatus.pending:
        run.close(RunStatus.cancelled)
        await publish_completion(session, run)
        workflows.cancel(run.id, certain=False)
    else:
        _require_active(run, "cancelled", RunStatus.running, RunStatus.paused)
        workflows.cancel(run.id)
    return runs.item(run.id)


@router.post("/pause", WRITE)
async def pause_run(id: str, runs: Runs, workflows: AfterCommitDep) -> Item[RunRead]:
    """Pause a run after the turn in hand, for as long as wished.

    A run that is paused because its budget is reached then stays paused when there is money again.
    """
    run = await runs.get(id)
    if not run.is_waiting_for_budget or run.paused_at is not None:
        _require_active(run, "paused", RunStatus.running, RunStatus.pending)
    workflows.update(run.id, "pause")
    return runs.item(run.id)


@router.post("/resume", WRITE)
async def resume_run(id: str, runs: Runs, session: DbSession, workflows: AfterCommitDep) -> Item[RunRead]:
    """Let a paused run go on.

    One that is paused because its budget is reached goes on when there is enough by now; 409 when there is
    not, with how to raise it.
    """
    run = await runs.get(id)
    _require_active(run, "resumed", RunStatus.paused)
    if run.paused_at is not None or not run.is_waiting_for_budget:
        workflows.update(run.id, "resume")
        return runs.item(run.id)
    sessions, missing = await load_shortage(session, run.id)
    if missing:
        raise Conflict(" ".join(missing))
    wake_sessions(workflows, sessions)
    return runs.item(run.id)


@router.post("/graceful-stop", CANCEL)
async def stop_run_gracefully(id: str, runs: Runs, workflows: AfterCommitDep) -> Item[RunRead]:
    """Stop a run after the turn in hand and keep what was done so far."""
    run = await runs.get(id)
    _require_active(run, "stopped", RunStatus.running, RunStatus.paused)
    workflows.update(run.id, "graceful_stop")
    return runs.item(run.id)


@router.post("/restart", WRITE, creates=True, name="restart_run")
async def restart(
    id: str, runs: Runs, session: DbSession, workflows: AfterCommitDep, body: RunRestart = RunRestart()
) -> Item[RunRead]:
    """Start a new run that does the same work as an ended one was asked for.

    The new one goes on from what a failed or stopped run had pushed, or from the last checkpoint of a lost
    run that had pushed nothing: its work tree is the old one's, and steps that were completed are not done
    again. `fromScratch` does all of it again.
    """
    old = await runs.get(id)
    _require_active(old, "restarted", RunStatus.completed, RunStatus.failed, RunStatus.cancelled)
    run = await restart_run(session, old, from_scratch=body.from_scratch)
    start_after_commit(run, workflows)
    return runs.item(run.id)


@router.post("/messages", WRITE, creates=True)
async def send_run_message(
    id: str, body: RunMessage, runs: Runs, messages: Messages, workflows: AfterCommitDep
) -> Item[RunMessageRead]:
    """Send a message to the agent of a live run; it is told before its next turn."""
    run = await runs.get(id)
    _require_active(run, "sent a message", RunStatus.pending, RunStatus.running, RunStatus.paused)
    message = await queue_message(runs.unit, workflows, run, body.content)
    return messages.item(message.id)


def _require_active(run: Run, verb: str, *allowed: RunStatus) -> None:
    if run.status not in allowed:
        raise Conflict(f"Run {run.run_number} is {run.status} and cannot be {verb}.")
