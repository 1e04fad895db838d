"""The steps of a run in order, Iteration Blocks included; a follow-up message prolongs the last of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from temporalio import workflow

from activities.runs import BlockPlan, RunActivities, RunPlan, StepPlan
from activities.steps import BeginStep, FinishStep, StepActivities, StepBegun
from models.run_step import StepStatus, Verdict
from workflows.calls import instantly
from workflows.control import Control
from workflows.conversing import begin_session
from workflows.sandbox import run_scripts, save_checkpoint, surviving
from workflows.session_limits import SessionInput, SessionOutcome


class Pipeline:
    def __init__(
        self, run_id: str, plan: RunPlan, control: Control, sandbox_id: str, deadline: datetime
    ) -> None:
        self.run_id, self.plan, self.control = run_id, plan, control
        self.sandbox_id, self.deadline = sandbox_id, deadline
        self.iterations: dict[int, int] = {}
        """By step, the iteration that began last."""
        self.unpassed = False
        """The last check of a block asked for changes when its iterations were used up."""

    async def play(self) -> None:
        """Every block in turn, then whatever the client added meanwhile; returns early when stopped."""
        for block in self.plan.blocks:
            await self._play_block(block)
        workers = [step for block in self.plan.blocks for step in block.steps if not step.gives_verdict]
        last = workers[-1] if workers else self.plan.blocks[-1].steps[-1]
        heard = 0
        while heard < self.control.follow_ups and not self.control.stopping:
            heard = self.control.follow_ups
            if await instantly(RunActivities.has_follow_ups, self.run_id):
                await self._play_step(last)
        self.control.close_steps()

    async def _play_block(self, block: BlockPlan) -> None:
        """Repeat the block's steps until its check passes or its iterations are used up."""
        for _ in range(block.iterations):
            verdict: Verdict | None = None
            for step in block.steps:
                await self.control.may_go_on()
                if self.control.stopping:
                    return
                verdict = (await self._play_step(step)).verdict or verdict
            self.unpassed = verdict is Verdict.failed
            if not self.unpassed:
                return

    async def _play_step(self, step: StepPlan) -> SessionOutcome:
        iteration = self.iterations[step.index] = self.iterations.get(step.index, 0) + 1
        workflow.set_current_details(f"Step {step.index + 1}, {step.label}, iteration {iteration}")
        begin = BeginStep(
            run_id=self.run_id, sandbox_id=self.sandbox_id, index=step.index, iteration=iteration
        )
        begun = await instantly(StepActivities.begin_step, begin)
        status = StepStatus.failed
        try:
            if step.has_pre_scripts:
                await self._in_sandbox(partial(run_scripts, self.run_id, step, begun.step_id, False))
            outcome = await self._converse(step, begun)
            if step.has_post_scripts and outcome.finished:
                await self._in_sandbox(partial(run_scripts, self.run_id, step, begun.step_id, True))
            status = StepStatus.completed if outcome.finished else StepStatus.cancelled
        except asyncio.CancelledError:
            status = StepStatus.cancelled
            raise
        finally:
            if status is not StepStatus.completed:
                finish = FinishStep(step_id=begun.step_id, status=status)
                await instantly(StepActivities.finish_step, finish)
        if not step.gives_verdict:
            await self._in_sandbox(partial(save_checkpoint, self.run_id))
        return outcome

    async def _converse(self, step: StepPlan, begun: StepBegun) -> SessionOutcome:
        told = SessionInput(
            session_id=begun.session_id, job_id=self.run_id, sandbox_id=self.sandbox_id, label=step.label,
            max_turns=begun.max_turns, max_cost_usd=self.plan.max_cost_usd,
            deadline=self.deadline + self.control.held,
        )  # fmt: skip
        session = await begin_session(told)
        async with self.control.of(session):
            outcome = await session
        self.sandbox_id = outcome.sandbox_id
        return outcome

    async def _in_sandbox(self, work: Callable[[str], Awaitable[None]]) -> None:
        _, self.sandbox_id = await surviving(self.run_id, self.sandbox_id, work)
