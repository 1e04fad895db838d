"""The steps of a run in order, Iteration Blocks included; a follow-up message prolongs the last of them."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import NoReturn, Self, TypeVar

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.runs.lifecycle import BlockPlan, RunActivities, RunPlan, StepPlan
from activities.runs.steps import BeginStep, FinishStep, StartedStep, StepActivities
from models.runs.run_step import StepStatus, Verdict
from workflows.activity_calls import run_local
from workflows.agent.child_session import start_session
from workflows.agent.limits import SessionInput, SessionResult, non_retryable_error, require_time_left
from workflows.runs.control import RunControl
from workflows.sandboxes.lifecycle import (
    provision_fresh_sandbox,
    provision_sandbox,
    release_fresh,
    require_checkpoint,
    run_scripts,
    save_checkpoint,
    with_sandbox_recovery,
)

T = TypeVar("T")
WORK_NOT_SAVED = (
    "What the steps left could not be saved, so nothing can check it in a fresh sandbox: the event "
    "checkpoint.refused says why. If it holds a secret of the project, tell the agent to read that from the "
    "environment; then start the run again."
)


@dataclass
class StepSandbox:
    """A sandbox that steps are played in, and what of its work tree is safe."""

    sandbox_id: str
    saved_sha: str | None = None
    """The last checkpoint that was taken of it; None: none was, or nothing was changed."""
    unsaved: bool = False
    """The work tree is in no checkpoint yet."""
    work_lost: bool = False
    """One that was in none was lost with its sandbox."""

    def use_sandbox(self, sandbox_id: str) -> None:
        """Go on in this sandbox; what only the one before it had is lost."""
        if sandbox_id != self.sandbox_id:
            self.work_lost = self.work_lost or self.unsaved
            self.unsaved = False
            self.sandbox_id = sandbox_id

    def record_checkpoint(self, sha: str | None) -> None:
        """A checkpoint was tried; None: it failed."""
        self.unsaved = sha is None
        self.saved_sha = sha or self.saved_sha


@dataclass
class Progress:
    """How far the steps of a run have come: what it goes on with in a new history."""

    plan: RunPlan
    follow_ups: int
    block: int
    round: int
    place: StepSandbox | None
    active_seconds: float
    iterations: dict[int, int]
    unpassed: bool
    heard: int


class Pipeline:
    """The steps that work share one place, made when the first of them needs it.

    Steps that assess the work have a fresh one each, made from what was saved last, and what they change
    there is thrown away.
    """

    def __init__(
        self, run_id: str, plan: RunPlan, control: RunControl, go_on: Callable[[Progress], NoReturn]
    ) -> None:
        """go_on: ends this history and begins a new one from there."""
        self.run_id, self.plan, self.control, self.continue_in_new_history = run_id, plan, control, go_on
        self.block = self.round = 0
        """Which block is at work, and how often all of its steps were played."""
        self.step_sandbox: StepSandbox | None = None
        """Of the steps that work; None before the first of them."""
        self.active_seconds = 0.0
        """How long turns, tool calls and scripts were at work: what the time limit counts (ADR 28)."""
        self.iterations: dict[int, int] = {}
        """By step, the iteration that began last."""
        self.unpassed = False
        """The last check of a block asked for changes when its iterations were used up."""
        self.handled_follow_ups = 0
        """How many of the client's messages were there when it was last seen to that none waits."""

    @classmethod
    def resume(
        cls, run_id: str, control: RunControl, progress: Progress, go_on: Callable[[Progress], NoReturn]
    ) -> Self:
        """The pipeline of a run that goes on in a new history; `control` has what it was told before."""
        pipeline = cls(run_id, progress.plan, control, go_on)
        pipeline.block, pipeline.round = progress.block, progress.round
        pipeline.step_sandbox, pipeline.active_seconds = progress.place, progress.active_seconds
        pipeline.iterations = progress.iterations
        pipeline.unpassed, pipeline.handled_follow_ups = progress.unpassed, progress.heard
        return pipeline

    def _progress(self) -> Progress:
        return Progress(
            plan=self.plan,
            follow_ups=self.control.follow_ups,
            block=self.block,
            round=self.round,
            place=self.step_sandbox,
            active_seconds=self.active_seconds,
            iterations=self.iterations,
            unpassed=self.unpassed,
            heard=self.handled_follow_ups,
        )

    async def run(self) -> None:
        """Every block in turn, then whatever the client added meanwhile; returns early when stopped.

        A run that goes on from another's work begins with that in its place, and with the first step left.
        """
        if self.plan.first_step is not None and self.step_sandbox is None:
            self.step_sandbox = StepSandbox(await provision_sandbox(self.run_id), unsaved=True)
        while self.block < len(self.plan.blocks):
            await self._run_block(self.plan.blocks[self.block])
            self.block, self.round = self.block + 1, 0
        await self._handle_follow_ups()
        self.control.close_steps()

    async def repair(self) -> None:
        """Have the agent that worked last act on a message that was left for it, at the pushed branch."""
        self.control.open_steps()
        sandbox_id = await provision_sandbox(self.run_id)
        self.step_sandbox = (
            StepSandbox(sandbox_id)
            if self.step_sandbox is None
            else replace(self.step_sandbox, sandbox_id=sandbox_id)
        )
        await self._run_step(self._last_worker())
        await self._handle_follow_ups()
        self.control.close_steps()

    async def _handle_follow_ups(self) -> None:
        """Prolong the last step until no message of the client's waits and nobody holds the run."""
        while True:
            await self.control.wait_until_allowed()
            if self.handled_follow_ups == self.control.follow_ups or self.control.stopping:
                return
            self.handled_follow_ups = self.control.follow_ups
            if await run_local(RunActivities.has_follow_ups, self.run_id):
                await self._run_step(self._last_worker())

    def _last_worker(self) -> StepPlan:
        """The one whose changes count, if there is any."""
        workers = [step for block in self.plan.blocks for step in block.steps if not step.assesses]
        return workers[-1] if workers else self.plan.blocks[-1].steps[-1]

    async def _run_block(self, block: BlockPlan) -> None:
        """Repeat the block's steps until its check passes or its iterations are used up."""
        while self.round < block.iterations:
            await self._continue_if_history_long()
            verdict: Verdict | None = None
            for step in block.steps:
                if self._was_done_before(step):
                    continue
                await self.control.wait_until_allowed()
                if self.control.stopping:
                    return
                verdict = (await self._run_step(step)).verdict or verdict
            self.unpassed = verdict is Verdict.failed
            if not self.unpassed:
                return
            self.round += 1

    async def _continue_if_history_long(self) -> None:
        """Go on in a new history once this one is long: between two rounds, when no command is on its way."""
        if workflow.info().is_continue_as_new_suggested():
            while not self._may_continue():
                await workflow.wait_condition(self._may_continue)
            if not self.control.stopping:
                self.continue_in_new_history(self._progress())

    def _may_continue(self) -> bool:
        control = self.control
        return control.stopping or (not control.paused and workflow.all_handlers_finished())

    def _was_done_before(self, step: StepPlan) -> bool:
        """Whether the run that this one goes on from did it; only its first iteration is passed over."""
        if step.index >= (self.plan.first_step or 0) or step.index in self.iterations:
            return False
        self.iterations[step.index] = 1
        return True

    async def _run_step(self, step: StepPlan) -> SessionResult:
        return await (self._assess(step) if step.assesses else self._work(step))

    async def _work(self, step: StepPlan) -> SessionResult:
        """Play a step where the run's work is done, and save what it leaves."""
        if self.step_sandbox is None:
            self.step_sandbox = StepSandbox(await provision_sandbox(self.run_id))
        place = self.step_sandbox
        outcome = await self._run_step_in(place, step)
        if place.unsaved or step.has_post_scripts:
            place.record_checkpoint(
                await self.run_with_recovery(place, partial(save_checkpoint, self.run_id))
            )
        return outcome

    async def _assess(self, step: StepPlan) -> SessionResult:
        """Play a step in a fresh sandbox: nothing that the work could have prepared decides what it finds."""
        place = StepSandbox(await provision_fresh_sandbox(self.run_id, await self._commit_of_work()))
        outcome = await self._run_step_in(place, step)
        await release_fresh(self.run_id, place.sandbox_id)
        return outcome

    async def _commit_of_work(self) -> str | None:
        """The checkpoint of what the steps have left so far; None when they changed nothing."""
        place = self.step_sandbox
        if place is None:
            return None
        if place.unsaved:
            sha = await self.run_with_recovery(place, partial(require_checkpoint, self.run_id))
            if sha is None:
                raise non_retryable_error("WORK_NOT_SAVED", WORK_NOT_SAVED)
            place.record_checkpoint(sha)
        return place.saved_sha

    async def _run_step_in(self, place: StepSandbox, step: StepPlan) -> SessionResult:
        iteration = self.iterations[step.index] = self.iterations.get(step.index, 0) + 1
        workflow.set_current_details(f"Step {step.index + 1}, {step.label}, iteration {iteration}")
        begin = BeginStep(
            run_id=self.run_id, sandbox_id=place.sandbox_id, index=step.index, iteration=iteration
        )
        begun = await run_local(StepActivities.begin_step, begin)
        status = StepStatus.failed
        try:
            if step.has_pre_scripts:
                await self._run_scripts(place, step, begun, after=False)
                place.unsaved = True
            outcome = await self._run_session(place, step, begun)
            if step.has_post_scripts and outcome.finished:
                await self._run_scripts(place, step, begun, after=True)
            status = StepStatus.completed if outcome.finished else StepStatus.cancelled
        except asyncio.CancelledError:
            status = StepStatus.cancelled
            raise
        finally:
            if status is not StepStatus.completed:
                finish = FinishStep(step_id=begun.step_id, status=status)
                await run_local(StepActivities.finish_step, finish)
        return outcome

    async def _run_session(self, place: StepSandbox, step: StepPlan, begun: StartedStep) -> SessionResult:
        told = SessionInput(
            session_id=begun.session_id,
            job_id=self.run_id,
            sandbox_id=place.sandbox_id,
            label=step.label,
            max_turns=begun.max_turns,
            time_limit_seconds=self.plan.time_limit_seconds,
            active_seconds=self.active_seconds,
            keeps_work=not step.assesses,
            unsaved=place.unsaved,
        )
        session = await start_session(told)
        try:
            async with self.control.attach(session):
                outcome = await session
        except FailureError as error:
            if reached := SessionResult.from_failure(error):
                self._apply_result(place, reached)
            raise
        self._apply_result(place, outcome)
        return outcome

    def _apply_result(self, place: StepSandbox, reached: SessionResult) -> None:
        self.active_seconds = reached.active_seconds
        place.sandbox_id = reached.sandbox_id or place.sandbox_id
        place.saved_sha = reached.saved_sha or place.saved_sha
        place.unsaved = reached.unsaved
        place.work_lost = place.work_lost or reached.work_lost

    async def _run_scripts(
        self, place: StepSandbox, step: StepPlan, begun: StartedStep, *, after: bool
    ) -> None:
        run = partial(run_scripts, self.run_id, step, begun.step_id, after)
        self.active_seconds += (await self.run_with_recovery(place, run)).active_seconds

    async def run_with_recovery(
        self, place: StepSandbox, work: Callable[[str], Awaitable[T]], *, is_timed: bool = True
    ) -> T:
        """The result of work in a place, done again in a new sandbox if its own was lost.

        is_timed: no new one is made once the run's time is over.
        """

        async def work_in(sandbox_id: str) -> T:
            place.use_sandbox(sandbox_id)
            return await work(sandbox_id)

        keep_time = self._require_time_left if is_timed else lambda: None
        result, _ = await with_sandbox_recovery(self.run_id, place.sandbox_id, work_in, keep_time=keep_time)
        return result

    def _require_time_left(self) -> None:
        require_time_left(self.active_seconds, self.plan.time_limit_seconds)
