"""Paying for model calls: what one may cost at most is set aside before it is made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import ApplicationError

from activities.agent.conversation import SessionContext
from activities.agent.model_caller import ModelCaller
from activities.budgets.lost_calls import charge_lost
from activities.budgets.quotas import quota_limit_error, require_price
from activities.budgets.token_bounds import max_input_tokens, max_tokens_of_count
from activities.gateway_factory import external_call
from activities.projects.credentials import Credentials
from gateways.anthropic.client import ContextTooLong, Meter, Turn, TurnCut, TurnRequest
from gateways.anthropic.conversation import Usage
from gateways.errors import GatewayError
from kit.cancellation import run_to_completion
from kit.database import Database
from kit.errors import AppError
from kit.ids import prefixed
from kit.logs import logger
from models import CostRate, OpenCall
from models.budgets.money_code import BudgetWaitCode
from models.budgets.quota import QuotaUsage
from models.budgets.reservation import (
    ModelCall,
    ReservationGrant,
    ReservationRefusal,
    record_open_call,
    release,
    reserve,
)

log = logger(__name__)
MAX_CONSECUTIVE_CUTS: Final = 10
"""Answers in a row that are paid for and never get whole, before the session gives up."""
REFUSAL_MESSAGES: Final = {
    BudgetWaitCode.reached: "A budget is reached: the next model call could exceed it.",
    BudgetWaitCode.reserved: "What is left of a budget is reserved for other model calls.",
    BudgetWaitCode.unpriced: "A budget applies, and the model has no price.",
}


@dataclass
class ReservedCall:
    """A call that may be made."""

    call: ModelCall
    request: TurnRequest
    """Its answer may be shorter than was asked for."""
    rate: CostRate | None
    """What it is reckoned with, whatever prices become meanwhile; None for a model without a price."""
    meter: Meter = field(default_factory=Meter)
    """What it has used so far."""
    source_id: str = field(default_factory=prefixed("msg"))
    """Of the message that is to hold its answer: by it the books know whether it was charged."""
    is_settled: bool = False
    """Whether its price is recorded, and with it nothing is set aside any more."""

    def to_open_call(self) -> OpenCall | None:
        """What the provider has said of it, for which it is to be paid; None before it begins to answer."""
        if self.meter.usage is None:
            return None
        return OpenCall(
            source_id=self.source_id,
            session_id=self.call.session_id,
            project_id=self.call.project_id,
            job_id=self.call.job_id,
            sequence=self.call.sequence,
            model=self.meter.model or self.request.model,
            usage=self.meter.usage.model_dump(),
            counts_for_quota=self.call.counts_for_quota,
        )


def _needs_exact_count(asked: ReservationGrant | ReservationRefusal, request: TurnRequest) -> bool:
    """Whether there is too little money by a bound that is far too high: worth a closer look."""
    if isinstance(asked, ReservationRefusal):
        return asked.code is not BudgetWaitCode.unpriced
    return asked.max_tokens < request.max_tokens


class CallReservations:
    def __init__(self, database: Database, model: ModelCaller) -> None:
        self.database, self._model = database, model

    @asynccontextmanager
    async def reserve(
        self,
        credentials: Credentials,
        speaker: SessionContext,
        sequence: int,
        request: TurnRequest,
        counted: Usage | None = None,
    ) -> AsyncIterator[ReservedCall]:
        """Set aside what a call may cost, for the block that makes it and records what it did cost.

        Raises an error with the code of `BudgetWaitCode` that no retry overcomes, and ProviderLimit where the
        project's quota of the server's key is used up: the workflow waits.  Killed
        within the block, what is set aside stays until the turn is repeated, which takes it over: nothing of
        it is lost, and nothing is set aside twice; what the provider had said of the call until then is
        charged by the reconciler.  While the first attempt still runs, both make their
        calls with the one reservation; the first to record its answer settles it, the other one's answer is
        dropped.  An answer that is dropped, cut off or given up is charged as far as the provider has said;
        TURN_CUT, which is not retried, after too many that were cut off in a row.

        counted: see `activities.budgets.token_bounds`.
        """
        agent = speaker.agent
        call = ModelCall(
            agent.id,
            sequence,
            agent.project_id,
            speaker.chain_id,
            agent.job_id,
            owner=uuid4().hex,
            quota_usd=credentials.quota.model_usd,
        )
        rate = await self._rate(call, request.model)
        if call.counts_for_quota:
            require_price(request.model, rate)
        paid = ReservedCall(call, request, rate)
        try:
            asked = await self._reserve(call, request, rate, max_input_tokens(request, counted))
            if (
                _needs_exact_count(asked, request)
                and (tokens := await self._count(credentials, request)) is not None
            ):
                asked = await self._reserve(call, request, rate, tokens)
            if isinstance(asked, ReservationRefusal):
                raise ApplicationError(
                    REFUSAL_MESSAGES[asked.code],
                    asked.model_dump(mode="json"),
                    type=asked.code,
                    non_retryable=True,
                )
            paid.request = request.model_copy(update={"max_tokens": asked.max_tokens})
            paid.meter.on_usage = partial(self._record_open_call, paid)
            yield paid
        except TurnCut as cut:
            cuts = await run_to_completion(self._charge_lost(speaker, paid, is_cut=True))
            if cuts >= MAX_CONSECUTIVE_CUTS:
                raise ApplicationError(
                    f"The model's answer was cut off {cuts} times in a row; each time it was paid for.",
                    type="TURN_CUT",
                    non_retryable=True,
                ) from cut
            raise
        finally:
            if not paid.is_settled:
                await run_to_completion(self._abandon(speaker, paid))

    async def rate_of(self, paid: ReservedCall, turn: Turn) -> CostRate | None:
        """What the answer is charged with: as it was reckoned, unless another model gave it."""
        return await self._rate_of_model(paid, turn.model)

    async def _rate_of_model(self, paid: ReservedCall, model: str) -> CostRate | None:
        return paid.rate if model == paid.request.model else await self._rate(paid.call, model)

    async def _rate(self, call: ModelCall, model: str) -> CostRate | None:
        return await self._model.price(model, call.project_id, counts_for_quota=call.counts_for_quota)

    async def _abandon(self, speaker: SessionContext, paid: ReservedCall) -> None:
        """Give up a call whose answer is not recorded."""
        await self._charge_lost(speaker, paid)
        await self._release(paid.call)

    async def _charge_lost(self, speaker: SessionContext, paid: ReservedCall, *, is_cut: bool = False) -> int:
        """Count what an answer has cost that is not recorded, as far as the provider has said; once.

        is_cut: it never got whole, and not because we left; how many of those there were in a row.
        """
        lost, paid.meter.usage = paid.to_open_call(), None
        if lost is None:
            return 0
        try:
            rate = await self._rate_of_model(paid, lost.model)
            async with self.database.transaction() as session:
                return await charge_lost(session, speaker, lost, rate, is_cut=is_cut)
        except (SQLAlchemyError, AppError) as error:
            name = type(error).__name__
            log.warning("turn.cost_lost", session_id=lost.session_id, usage=lost.usage, reason=name)
            return 0

    async def _record_open_call(self, paid: ReservedCall) -> None:
        """Write down that the provider answers; where that fails, only our death would lose what it costs."""
        begun = paid.to_open_call()
        assert begun is not None, "the provider says what it reads when it begins"
        try:
            async with self.database.transaction() as session:
                await record_open_call(session, begun)
        except (SQLAlchemyError, AppError) as error:
            log.warning("turn.call_not_noted", session_id=begun.session_id, reason=type(error).__name__)

    async def _reserve(
        self, call: ModelCall, request: TurnRequest, rate: CostRate | None, input_tokens: int
    ) -> ReservationGrant | ReservationRefusal:
        """ProviderLimit where the quota that the call counts for is used up."""
        async with self.database.transaction() as session:
            asked = await reserve(session, call, request.model, rate, input_tokens, request.max_tokens)
        if isinstance(asked, QuotaUsage):
            raise quota_limit_error(asked)
        return asked

    async def _count(self, credentials: Credentials, request: TurnRequest) -> int | None:
        """What the provider counts, as bytes are far above it; None when it does not say."""
        try:
            with external_call():
                agent = await self._model.outside.model_client(credentials)
                return max_tokens_of_count(await agent.count(request))
        except ContextTooLong:
            raise
        except GatewayError as error:
            log.info("tokens could not be counted", reason=error.message)
            return None

    async def _release(self, call: ModelCall) -> None:
        try:
            async with self.database.transaction() as session:
                await release(session, call)
        except (SQLAlchemyError, AppError) as error:  # its lease ends, or the next attempt takes it over
            log.warning("a reservation was left", session_id=call.session_id, reason=type(error).__name__)
