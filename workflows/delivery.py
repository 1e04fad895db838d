"""What comes after the steps: push, pull request, and CI followed until it has spoken."""

from datetime import timedelta
from functools import partial

from temporalio import workflow

from activities.ci import Ci, CiReport
from activities.delivery import Delivery, OpenPullRequest, Pushed
from activities.sandboxes import SandboxRef
from kit.temporal import PATIENT
from workflows.calls import WHOLE, patiently, together
from workflows.control import Control
from workflows.news import news
from workflows.pipeline import Pipeline
from workflows.sandbox import release_sandbox, surviving

CI_APPEARS_IN = timedelta(minutes=1)
CI_TAKES = timedelta(hours=2)
FIRST_LOOK, LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=1)


async def deliver(pipeline: Pipeline) -> None:
    """A run that changed nothing opens no pull request; a stopped one only pushes what it has.

    Once the branch is pushed, nothing needs the sandbox any more and CI may begin: the sandbox goes and CI is
    looked at while the pull request is opened.
    """
    run_id = pipeline.run_id
    pushed, pipeline.sandbox_id = await surviving(run_id, pipeline.sandbox_id, partial(_push, run_id))
    if pushed.sha is None or not pipeline.plan.create_pr or pipeline.control.stopping:
        return
    ask = OpenPullRequest(run_id=run_id, draft=pipeline.unpassed)
    await together(_open(ask), release_sandbox(run_id), _follow_ci(run_id, pipeline.control))


async def _push(run_id: str, sandbox_id: str) -> Pushed:
    ref = SandboxRef(job_id=run_id, sandbox_id=sandbox_id)
    return await patiently(
        run_id, Delivery.push_branch, ref, PATIENT, summary="commit and push", cancellation=WHOLE
    )


async def _open(ask: OpenPullRequest) -> None:
    workflow.set_current_details("The branch is pushed; opening the pull request and looking at CI.")
    await patiently(
        ask.run_id, Delivery.open_pull_request, ask, PATIENT, summary="open the pull request",
        cancellation=WHOLE,
    )  # fmt: skip
    workflow.set_current_details("The pull request is open; waiting for CI.")


async def _follow_ci(run_id: str, control: Control) -> None:
    """Look at CI until it has spoken, or there is none: when GitHub tells of it, else less and less often."""
    started, pause = workflow.now(), FIRST_LOOK
    while workflow.now() - started < CI_TAKES:
        control.checks_changed = False
        report = await patiently(run_id, Ci.read_checks, run_id, PATIENT, summary="read CI's checks")
        if _has_spoken(report, workflow.now() - started):
            return
        await news(lambda: control.checks_changed, pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _has_spoken(report: CiReport, waited: timedelta) -> bool:
    if report.status == "none":
        return not report.expected or waited > CI_APPEARS_IN
    return report.status != "pending"
