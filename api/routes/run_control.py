"""Commands to runs: each is checked against the row, then told to the engine, which writes the row."""

from typing import Annotated

from sqlmodel.ext.asyncio.session import AsyncSession

from api.answers import One
from api.keys import needs
from api.router import Router
from api.rows import Rows, rows
from api.starting import hand_over
from api.workflows import Session, Workflows
from kit.errors import Conflict
from models.agent_session import FollowUp
from models.run import Run, RunStatus
from models.run_ending import announce
from models.run_start import restart_run
from models.run_wire import RUN_MESSAGES, RUNS, RunMessage, RunMessageRead, RunRead

router = Router("/runs/{id}", "Runs (lifecycle actions)")
WRITE, CANCEL = needs("runs:write"), needs("runs:cancel")
Runs = Annotated[Rows[Run, RunRead], rows(RUNS)]
Messages = Annotated[Rows[FollowUp, RunMessageRead], rows(RUN_MESSAGES)]


@router.post("/cancel", CANCEL)
async def cancel_run(id: str, runs: Runs, session: Session, workflows: Workflows) -> One[RunRead]:
    """Cancel a run: its agent stops, its sandbox is removed, and nothing is pushed any more.

    A run that no engine has yet is cancelled at once; a running one within seconds.
    """
    run = await runs.get(id, lock=True)
    if run.status is RunStatus.pending:
        run.close(RunStatus.cancelled)
        await announce(session, run)
        workflows.cancel(run.id, certain=False)
    else:
        _must_be(run, "cancelled", RunStatus.running, RunStatus.paused)
        workflows.cancel(run.id)
    return runs.one(run.id)


@router.post("/pause", WRITE)
async def pause_run(id: str, runs: Runs, workflows: Workflows) -> One[RunRead]:
    """Pause a run after the turn in hand, for as long as wished."""
    run = await runs.get(id)
    _must_be(run, "paused", RunStatus.running, RunStatus.pending)
    workflows.update(run.id, "pause")
    return runs.one(run.id)


@router.post("/resume", WRITE)
async def resume_run(id: str, runs: Runs, workflows: Workflows) -> One[RunRead]:
    """Let a paused run go on."""
    run = await runs.get(id)
    _must_be(run, "resumed", RunStatus.paused)
    workflows.update(run.id, "resume")
    return runs.one(run.id)


@router.post("/graceful-stop", CANCEL)
async def stop_run_gracefully(id: str, runs: Runs, workflows: Workflows) -> One[RunRead]:
    """Stop a run after the turn in hand and keep what was done so far."""
    run = await runs.get(id)
    _must_be(run, "stopped", RunStatus.running, RunStatus.paused)
    workflows.update(run.id, "graceful_stop")
    return runs.one(run.id)


@router.post("/restart", WRITE, creates=True, name="restart_run")
async def restart(id: str, runs: Runs, session: Session, workflows: Workflows) -> One[RunRead]:
    """Start a new run that does the same work as an ended one was asked for."""
    old = await runs.get(id)
    _must_be(old, "restarted", RunStatus.completed, RunStatus.failed, RunStatus.cancelled)
    run = await restart_run(session, old)
    hand_over(run, workflows)
    return runs.one(run.id)


@router.post("/messages", WRITE, creates=True)
async def send_run_message(
    id: str, body: RunMessage, runs: Runs, messages: Messages, workflows: Workflows
) -> One[RunMessageRead]:
    """Send a message to the agent of a live run; it is told before its next turn."""
    run = await runs.get(id)
    _must_be(run, "sent a message", RunStatus.pending, RunStatus.running, RunStatus.paused)
    message = messages.add(run_id=run.id, content=body.content)

    async def take_back(session: AsyncSession) -> None:
        await session.delete(await session.get_one(FollowUp, message.id))

    workflows.update(run.id, "follow_up", message.id, undo=take_back)
    return messages.one(message.id)


def _must_be(run: Run, verb: str, *allowed: RunStatus) -> None:
    if run.status not in allowed:
        raise Conflict(f"Run {run.run_number} is {run.status} and cannot be {verb}.")
