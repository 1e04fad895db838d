"""A sandbox that is ready to work in: made, cloned into and filled; made anew when the last one was lost."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.failures import SANDBOX_GONE
from activities.runs import StepPlan
from activities.sandboxes import Provision, SandboxActivities, SandboxRef
from activities.workspaces import StepScripts, Workspaces
from kit.temporal import LONG, PATIENT, QUICK
from workflows.calls import WHOLE, cause, patiently

T = TypeVar("T")


async def ready_sandbox(job_id: str, lost: str | None = None) -> str:
    """Our id of the job's sandbox; `lost` names the one it replaces."""
    ask = Provision(job_id=job_id, lost=lost)
    sandbox_id = await patiently(
        job_id, SandboxActivities.provision, ask, PATIENT, summary="create the sandbox", cancellation=WHOLE
    )
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await patiently(job_id, Workspaces.prepare, ref, PATIENT, summary="clone and prepare")
    return sandbox_id


async def release_sandbox(job_id: str) -> None:
    """Kill the job's sandbox; one that cannot be killed now is left to the sweep."""
    try:
        await workflow.execute_activity_method(
            SandboxActivities.release, job_id, **QUICK, summary="kill the sandbox"
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        workflow.logger.warning("the sandbox could not be killed: %s", cause(error))


async def surviving(job_id: str, sandbox_id: str, work: Callable[[str], Awaitable[T]]) -> tuple[T, str]:
    """The result of work in a sandbox, done again in a new one if it was lost; and the one in use."""
    while True:
        try:
            return await work(sandbox_id), sandbox_id
        except ActivityError as error:
            failure = cause(error)
            if failure is None or failure.type != SANDBOX_GONE:
                raise
        sandbox_id = await ready_sandbox(job_id, lost=sandbox_id)


async def run_scripts(job_id: str, step: StepPlan, step_id: str, after: bool, sandbox_id: str) -> None:
    ask = StepScripts(job_id=job_id, sandbox_id=sandbox_id, step_id=step_id, index=step.index, after=after)
    summary = f"{'post' if after else 'pre'}-scripts of {step.label}"
    await patiently(job_id, Workspaces.run_scripts, ask, LONG, summary=summary)


async def save_checkpoint(job_id: str, sandbox_id: str) -> None:
    ref = SandboxRef(job_id=job_id, sandbox_id=sandbox_id)
    await patiently(job_id, Workspaces.checkpoint, ref, PATIENT, summary="save a checkpoint")
