"""A sandbox that is ready to work in: made, cloned into and filled; made anew when the last one was lost."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

from activities.errors import SANDBOX_GONE
from activities.jobs.active_time import Timed
from activities.runs.lifecycle import StepPlan
from activities.sandboxes.lifecycle import SANDBOXES_LOST, Provision, SandboxActivities, SandboxRef
from activities.sandboxes.workspace import StepScripts, Workspaces
from kit.temporal import LONG, PATIENT, QUICK, SPARING
from models.sandboxes.sandbox import SandboxPurpose
from workflows.activity_calls import WHOLE, cause, heed_cancel, instantly, patiently
from workflows.agent.limits import failure

P = TypeVar("P")
T = TypeVar("T")
MAX_BEGINNINGS = 3
"""Sandboxes that are made in a row when each is lost before it is ready."""
MAX_REBUILDS = 2
"""How often one piece of work is done again because its sandbox was lost; `MAX_REPLACEMENTS` bounds a job."""


def _always() -> None:
    """There is time."""


async def ready_sandbox(
    job_id: str, lost: str | None = None, *, keep_time: Callable[[], None] = _always
) -> str:
    """Our id of the job's sandbox; `lost` names the one it replaces, whatever that was for.

    keep_time: raises when the job's time is over; called before each that is made.
    """
    return await _begin(Provision(job_id=job_id, lost=lost), keep_time)


async def fresh_sandbox(job_id: str, commit_sha: str | None) -> str:
    """Our id of a sandbox made from a commit, in which nothing of the job's work has run.

    None: the job's base commit.  Whoever asks for one ends it with `release_fresh` before asking for the
    next.
    """
    ask = Provision(job_id=job_id, purpose=SandboxPurpose.verification, commit_sha=commit_sha)
    return await _begin(ask, _always)


async def _begin(ask: Provision, keep_time: Callable[[], None]) -> str:
    """One that is lost before it is ready is replaced, a few times."""
    for _ in range(MAX_BEGINNINGS):
        keep_time()
        sandbox_id = await _provision(ask)
        try:
            await _make_ready(ask.job_id, sandbox_id)
        except ActivityError as error:
            if not is_loss(error):
                raise
            ask = Provision(job_id=ask.job_id, lost=sandbox_id)
        else:
            return sandbox_id
    raise _lost_for_good(f"{MAX_BEGINNINGS} sandboxes in a row were lost before they were ready.")


async def _provision(ask: Provision) -> str:
    return await patiently(
        ask.job_id,
        SandboxActivities.provision,
        ask,
        PATIENT,
        summary="create the sandbox",
        cancellation=WHOLE,
    )


async def _make_ready(job_id: str, sandbox_id: str) -> None:
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    if await patiently(job_id, Workspaces.prepare, ref, LONG, summary="clone and prepare"):
        await patiently(job_id, Workspaces.run_setup_scripts, ref, LONG, summary="setup scripts")


def is_loss(error: ActivityError) -> bool:
    """Whether it failed because its sandbox is gone."""
    reason = cause(error)
    return reason is not None and reason.type == SANDBOX_GONE


def _lost_for_good(what: str) -> ApplicationError:
    return failure(SANDBOXES_LOST, f"{what} Look at the provider's status, then start it again.")


async def release_sandbox(job_id: str) -> None:
    """Kill the job's sandboxes; what cannot be killed now is left to the sweep."""
    await _try(SandboxActivities.release, job_id, "kill the sandbox")


async def release_fresh(job_id: str, sandbox_id: str) -> None:
    """Kill a sandbox that was made for a verification; nobody finds it again, even if it lives on a while."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await instantly(SandboxActivities.retire, ref)
    await _try(SandboxActivities.remove, ref, "kill the sandbox")


async def rest_sandbox(job_id: str, sandbox_id: str) -> None:
    """Pause the job's sandbox, files and all, for a long wait; what attaches to it next resumes it."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await _try(SandboxActivities.rest, ref, "pause the sandbox")


async def _try(activity: MethodAsyncSingleParam[SandboxActivities, P, None], arg: P, summary: str) -> None:
    """Do it if that is possible now."""
    try:
        await workflow.execute_activity_method(activity, arg, **QUICK, summary=summary)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("could not %s: %s", summary, cause(error))


async def surviving(
    job_id: str,
    sandbox_id: str,
    work: Callable[[str], Awaitable[T]],
    *,
    keep_time: Callable[[], None] = _always,
) -> tuple[T, str]:
    """The result of work in a sandbox, done again in a new one if it was lost; and the one in use.

    keep_time: raises when the job's time is over; called before each new sandbox.
    """
    rebuilds = 0
    while True:
        try:
            return await work(sandbox_id), sandbox_id
        except ActivityError as error:
            if not is_loss(error):
                raise
        if rebuilds == MAX_REBUILDS:
            raise _lost_for_good(f"{rebuilds + 1} sandboxes were lost under the same work.")
        rebuilds += 1
        sandbox_id = await ready_sandbox(job_id, lost=sandbox_id, keep_time=keep_time)


async def run_scripts(job_id: str, step: StepPlan, step_id: str, after: bool, sandbox_id: str) -> Timed:
    ask = StepScripts(job_id=job_id, sandbox_id=sandbox_id, step_id=step_id, index=step.index, after=after)
    summary = f"{'post' if after else 'pre'}-scripts of {step.label}"
    return await patiently(job_id, Workspaces.run_scripts, ask, LONG, summary=summary)


async def require_checkpoint(job_id: str, sandbox_id: str) -> str | None:
    """The commit of the work tree, for what cannot go on without it; None when it was refused."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    return await patiently(job_id, Workspaces.checkpoint, ref, PATIENT, summary="save a checkpoint")


async def save_checkpoint(job_id: str, sandbox_id: str) -> str | None:
    """The commit of the work tree, if it is safe now.  Only a lost sandbox and a cancel are raised.

    A safety net is no reason to end what it is for, and nothing waits long for it.
    """
    heed_cancel()
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    try:
        return await workflow.execute_activity_method(
            Workspaces.checkpoint, ref, **SPARING, summary="save a checkpoint"
        )
    except ActivityError as error:
        if is_loss(error) or is_cancelled_exception(error):
            raise
        workflow.logger.warning("checkpoint.failed: %s", cause(error))
        return None
