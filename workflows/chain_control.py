"""What both kinds of chains do alike: hold between two runs, and end once, whatever happens."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError, is_cancelled_exception
from temporalio.types import MethodAsyncSingleParam

from activities.chain_starting import ChainInput
from activities.chains import ChainNote, Chains, CloseChain
from kit.shielding import begun
from kit.temporal import STATUS
from models.chain import ChainStatus
from workflows.calls import cause, instantly
from workflows.ending import show_end

S = TypeVar("S")


class ChainControl:
    def __init__(self, chain: ChainInput) -> None:
        self.chain = chain
        self.over = False

    def must_be_at_work(self) -> None:
        """Refuse a command that comes too late."""
        if self.over:
            raise ApplicationError("The chain has ended.", type="CONFLICT")

    async def hold(self, paused: bool) -> None:
        """Let the active run finish, then hold; or go on."""
        if self.over or self.chain.paused is paused:
            return
        self.chain.paused = paused
        await instantly(Chains.note_chain, ChainNote(chain_id=self.chain.chain_id, paused=paused))
        workflow.upsert_search_attributes([STATUS.value_set("paused" if paused else "running")])

    def ending(self, status: ChainStatus, code: str | None = None, message: str | None = None) -> CloseChain:
        return CloseChain(chain_id=self.chain.chain_id, status=status, code=code, message=message)

    async def play(
        self, work: Awaitable[CloseChain], close: MethodAsyncSingleParam[S, CloseChain, ChainStatus]
    ) -> ChainStatus:
        """Do the work of the attempt and write what came of it; a cancel after that is too late."""
        try:
            ending = await work
        except asyncio.CancelledError:
            ending = self.ending(ChainStatus.cancelled)
        except FailureError as error:
            ending = self._ending_of(error)
        closing = begun(self._close(ending, close))
        with suppress(asyncio.CancelledError):
            await asyncio.shield(closing)
        return await closing

    async def _close(
        self, ending: CloseChain, close: MethodAsyncSingleParam[S, CloseChain, ChainStatus]
    ) -> ChainStatus:
        self.over = True
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await instantly(close, ending)
        show_end(status, ending.message)
        return status

    def _ending_of(self, error: FailureError) -> CloseChain:
        if workflow.cancellation_reason() is not None or is_cancelled_exception(error):
            return self.ending(ChainStatus.cancelled)
        failure = cause(error)
        code, message = (failure.type, failure.message) if failure else ("TIMEOUT", str(error))
        return self.ending(ChainStatus.failed, code, message)
