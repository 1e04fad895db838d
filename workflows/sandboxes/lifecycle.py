"""A sandbox that is ready to work in: made, cloned into and filled; made anew when the last one was lost."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

from activities.errors import SANDBOX_GONE
from activities.jobs.lifecycle import TimedResult
from activities.runs.lifecycle import StepPlan
from activities.sandboxes.lifecycle import SANDBOXES_LOST, Provision, SandboxActivities, SandboxRef
from activities.sandboxes.workspace import StepScripts, WorkspaceActivities
from kit.temporal import BEST_EFFORT, EXTERNAL, LONG_RUNNING, SHORT
from models.sandboxes.sandbox import SandboxPurpose
from workflows.activity_calls import (
    WAIT_FOR_COMPLETION,
    application_error,
    raise_if_cancelled,
    run_local,
    run_with_provider_waits,
)
from workflows.agent.limits import non_retryable_error

P = TypeVar("P")
T = TypeVar("T")
MAX_PROVISION_ATTEMPTS = 3
"""Sandboxes that are made in a row when each is lost before it is ready."""
MAX_REBUILDS = 2
"""How often one piece of work is done again because its sandbox was lost; `MAX_REPLACEMENTS` bounds a job."""


def _no_time_limit() -> None:
    """There is time."""


async def provision_sandbox(
    job_id: str, lost: str | None = None, *, keep_time: Callable[[], None] = _no_time_limit
) -> str:
    """Our id of the job's sandbox; `lost` names the one it replaces, whatever that was for.

    keep_time: raises when the job's time is over; called before each that is made.
    """
    return await _provision_until_ready(Provision(job_id=job_id, lost=lost), keep_time)


async def provision_fresh_sandbox(job_id: str, commit_sha: str | None) -> str:
    """Our id of a sandbox made from a commit, in which nothing of the job's work has run.

    None: the job's base commit.  Whoever asks for one ends it with `release_fresh` before asking for the
    next.
    """
    ask = Provision(job_id=job_id, purpose=SandboxPurpose.verification, commit_sha=commit_sha)
    return await _provision_until_ready(ask, _no_time_limit)


async def _provision_until_ready(ask: Provision, keep_time: Callable[[], None]) -> str:
    """One that is lost before it is ready is replaced, a few times."""
    for _ in range(MAX_PROVISION_ATTEMPTS):
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
    raise _sandboxes_lost_error(
        f"{MAX_PROVISION_ATTEMPTS} sandboxes in a row were lost before they were ready."
    )


async def _provision(ask: Provision) -> str:
    return await run_with_provider_waits(
        ask.job_id,
        SandboxActivities.provision,
        ask,
        EXTERNAL,
        summary="create the sandbox",
        cancellation=WAIT_FOR_COMPLETION,
    )


async def _make_ready(job_id: str, sandbox_id: str) -> None:
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    if await run_with_provider_waits(
        job_id, WorkspaceActivities.prepare, ref, LONG_RUNNING, summary="clone and prepare"
    ):
        await run_with_provider_waits(
            job_id, WorkspaceActivities.run_setup_scripts, ref, LONG_RUNNING, summary="setup scripts"
        )


def is_loss(error: ActivityError) -> bool:
    """Whether it failed because its sandbox is gone."""
    reason = application_error(error)
    return reason is not None and reason.type == SANDBOX_GONE


def _sandboxes_lost_error(what: str) -> ApplicationError:
    return non_retryable_error(SANDBOXES_LOST, f"{what} Look at the provider's status, then start it again.")


async def release_sandbox(job_id: str) -> None:
    """Kill the job's sandboxes; what cannot be killed now is left to the sweep."""
    await _run_best_effort(SandboxActivities.release, job_id, "kill the sandbox")


async def release_fresh(job_id: str, sandbox_id: str) -> None:
    """Kill a sandbox that was made for a verification; nobody finds it again, even if it lives on a while."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await run_local(SandboxActivities.retire, ref)
    await _run_best_effort(SandboxActivities.remove, ref, "kill the sandbox")


async def pause_sandbox(job_id: str, sandbox_id: str) -> None:
    """Pause the job's sandbox, files and all, for a long wait; what attaches to it next resumes it."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await _run_best_effort(SandboxActivities.pause, ref, "pause the sandbox")


async def _run_best_effort(
    activity: MethodAsyncSingleParam[SandboxActivities, P, None], arg: P, summary: str
) -> None:
    """Do it if that is possible now."""
    try:
        await workflow.execute_activity_method(activity, arg, **SHORT, summary=summary)
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("could not %s: %s", summary, application_error(error))


async def with_sandbox_recovery(
    job_id: str,
    sandbox_id: str,
    work: Callable[[str], Awaitable[T]],
    *,
    keep_time: Callable[[], None] = _no_time_limit,
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
            raise _sandboxes_lost_error(f"{rebuilds + 1} sandboxes were lost under the same work.")
        rebuilds += 1
        sandbox_id = await provision_sandbox(job_id, lost=sandbox_id, keep_time=keep_time)


async def run_scripts(job_id: str, step: StepPlan, step_id: str, after: bool, sandbox_id: str) -> TimedResult:
    ask = StepScripts(job_id=job_id, sandbox_id=sandbox_id, step_id=step_id, index=step.index, after=after)
    summary = f"{'post' if after else 'pre'}-scripts of {step.label}"
    return await run_with_provider_waits(
        job_id, WorkspaceActivities.run_scripts, ask, LONG_RUNNING, summary=summary
    )


async def require_checkpoint(job_id: str, sandbox_id: str) -> str | None:
    """The commit of the work tree, for what cannot go on without it; None when it was refused."""
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    return await run_with_provider_waits(
        job_id, WorkspaceActivities.take_checkpoint, ref, EXTERNAL, summary="save a checkpoint"
    )


async def save_checkpoint(job_id: str, sandbox_id: str) -> str | None:
    """The commit of the work tree, if it is safe now.  Only a lost sandbox and a cancel are raised.

    A safety net is no reason to end what it is for, and nothing waits long for it.
    """
    raise_if_cancelled()
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    try:
        return await workflow.execute_activity_method(
            WorkspaceActivities.take_checkpoint, ref, **BEST_EFFORT, summary="save a checkpoint"
        )
    except ActivityError as error:
        if is_loss(error) or is_cancelled_exception(error):
            raise
        workflow.logger.warning("checkpoint.failed: %s", application_error(error))
        return None
