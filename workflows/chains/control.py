"""What both kinds of chains do alike: hold between two runs, and end once, whatever happens."""

import asyncio
from collections.abc import Coroutine
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.types import MethodAsyncSingleParam

from activities.chains.lifecycle import ChainActivities, ChainPause, CloseChain
from activities.jobs.launch import ChainInput
from activities.jobs.lifecycle import JobResult
from kit.temporal import STATUS
from models.chains.chain import ChainStatus
from workflows.activity_calls import run_local
from workflows.jobs.completion import publish_result, run_and_close

S = TypeVar("S")


class ChainControl:
    def __init__(self, chain: ChainInput) -> None:
        self.chain = chain
        self.is_finished = False
        self._lock = asyncio.Lock()

    def require_running(self) -> None:
        """Refuse a command that comes too late."""
        if self.is_finished:
            raise ApplicationError("The chain has ended.", type="CONFLICT")

    async def set_paused(self, paused: bool) -> None:
        """Let the active run finish, then hold; or go on."""
        async with self._lock:
            if self.is_finished or self.chain.paused is paused:
                return
            self.chain.paused = paused
            await run_local(
                ChainActivities.set_chain_paused, ChainPause(chain_id=self.chain.chain_id, paused=paused)
            )
            workflow.upsert_search_attributes([STATUS.value_set("paused" if paused else "running")])

    async def run(
        self,
        work: Coroutine[object, object, JobResult],
        close: MethodAsyncSingleParam[S, CloseChain, ChainStatus],
    ) -> ChainStatus:
        """Do the work of the attempt and write what came of it; `close` is the activity that does."""

        async def end(ending: JobResult) -> ChainStatus:
            self.is_finished = True
            await workflow.wait_condition(workflow.all_handlers_finished)
            said = CloseChain(
                chain_id=self.chain.chain_id,
                status=ChainStatus(ending.status),
                code=ending.code,
                message=ending.message,
                run_id=ending.run_id,
            )
            status = await run_local(close, said)
            publish_result(status, ending.message)
            return status

        return await run_and_close(work, end)
