"""The sweeps, each on a schedule: what was accepted is started, and what does not agree is repaired.

They are two, so that nothing that was accepted waits for a repair, nor for any outside system.
"""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

with workflow.unsafe.imports_passed_through():
    from activities.reconcile.admission import RECONCILE_REFUSED
    from activities.reconcile.reconciler import Group, GroupOrder, Reconciler
    from activities.reconcile.reports import Report, SweepOrder, SweepResult
    from activities.reconcile.start_sweep import StartSweepActivities
    from kit.temporal import INSTALLATION, SHORT, SWEEP, ActivityOptions
    from models.reconcile.sweep import SweepName
    from workflows.activity_calls import application_error

S = TypeVar("S")
P = TypeVar("P")
EXTERNAL_GROUPS = (Group.sandboxes, Group.pull_requests, Group.leftovers)
"""Groups that wait for somebody else, or touch what the others do not."""


class SweepRefused(Exception):
    """Nothing may be swept from here; why not is logged, and on the installation's row."""


@workflow.defn(name="StartSweep")
class StartSweepWorkflow:
    @workflow.run
    async def run(self) -> str:
        workflow.set_current_details("Starts what was accepted but has no workflow yet.")
        order = SweepOrder(installation=_installation())
        steps = (
            (StartSweepActivities.start_unstarted_rows, "start rows without a workflow"),
            (StartSweepActivities.update_schedules, "tell schedules of changed tasks"),
            (StartSweepActivities.wake_webhooks, "wake webhooks that are behind"),
        )
        report = Report()
        try:
            for step, summary in steps:
                report += await _run_step(step, order, SHORT, summary)
        except SweepRefused as refused:
            return str(refused)
        return await _record(SweepName.start, report)


@workflow.defn(name="ReconcileSweep")
class ReconcileSweepWorkflow:
    @workflow.run
    async def run(self) -> str:
        workflow.set_current_details("Looks for what does not agree, and repairs what is safe to repair.")
        try:
            report = await self._reconcile(Group.workflows)
            reports = await asyncio.gather(*(self._reconcile(group) for group in EXTERNAL_GROUPS))
        except SweepRefused as refused:
            return str(refused)
        return await _record(SweepName.reconcile, sum(reports, report))

    def _reconcile(self, group: Group) -> Coroutine[object, object, Report]:
        order = GroupOrder(installation=_installation(), group=group)
        return _run_step(Reconciler.reconcile, order, SWEEP, f"look at {group}")


def _installation() -> str | None:
    """Whose schedule started it."""
    return workflow.info().typed_search_attributes.get(INSTALLATION)


async def _run_step(
    step: MethodAsyncSingleParam[S, P, Report], order: P, patience: ActivityOptions, summary: str
) -> Report:
    """What a step came to; one that failed is a problem of the sweep, and the others go on."""
    try:
        report: Report = await workflow.execute_activity_method(step, order, **patience, summary=summary)
        return report
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        reason = application_error(error)
        if reason is not None and reason.type == RECONCILE_REFUSED:
            raise SweepRefused(reason.message) from error
        words = reason.message if reason is not None else "It did not end in time."
        workflow.logger.warning("reconcile.step_failed: %s: %s", summary, words)
        return Report(problem=f"{summary}: {words}")


async def _record(name: SweepName, report: Report) -> str:
    """Write it down for probes and alerts; what it came to, in words."""
    end = SweepResult(installation=_installation(), name=name, report=report)
    await workflow.execute_activity_method(
        Reconciler.record_sweep, end, **SHORT, summary="write down what was found"
    )
    return report.problem or "good"
