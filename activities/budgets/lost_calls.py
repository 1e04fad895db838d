"""Model calls whose answers are not recorded: charged as far as the provider had said.

The provider names the input when it begins to answer, and little of the output: that nobody can know.
"""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.agent.conversation import SessionContext, load_session_context
from activities.budgets.spending import build_spending
from gateways.anthropic.conversation import Usage
from kit.database import Database
from kit.logs import logger
from models import CostRate, OpenCall
from models.agent.turn import record_cut_turn
from models.base import now
from models.budgets.reservation import LEASE_DURATION
from models.budgets.usage import find_cost_rate
from models.jobs.job_lookup import get_job

log = logger(__name__)


def has_lease_expired(call: OpenCall) -> bool:
    """Whether its attempt has died for certain, whatever became of its job."""
    return call.opened_at <= now() - LEASE_DURATION


async def charge_lost_calls(database: Database, session_id: str, *, is_over: bool) -> int:
    """Charge those of a session, each once: by its message's id.  How many there were.

    is_over: its job is, so that none of them has an attempt any more.
    """
    speaker = await load_session_context(database, session_id)
    agent = speaker.agent
    async with database.transaction() as session:
        await get_job(session, agent.job_id, lock=True)  # as who records an answer does
        lost = [
            call for call in await _load_open_calls(session, session_id) if is_over or has_lease_expired(call)
        ]
        for call in lost:
            rate = await find_cost_rate(
                session, call.model, agent.project_id, installations_first=call.counts_for_quota
            )
            await charge_lost(session, speaker, call, rate, is_cut=False)
            log.info("turn.lost_call_charged", session_id=session_id, model=call.model, usage=call.usage)
    return len(lost)


async def charge_lost(
    session: AsyncSession, speaker: SessionContext, call: OpenCall, rate: CostRate | None, *, is_cut: bool
) -> int:
    """Charge a call, once, to all that pay for it, the quota of the server's key if it counts for that.

    is_cut: its answer never got whole, and not because we left; how many of those there were in a row.
    """
    usage = Usage.model_validate(call.usage)
    spending = build_spending(
        speaker, usage, rate, call.source_id, call.sequence, counts_for_quota=call.counts_for_quota
    )
    return await record_cut_turn(session, speaker.agent, spending, is_cut=is_cut, unless=call.source_id)


async def _load_open_calls(session: AsyncSession, session_id: str) -> list[OpenCall]:
    statement = select(OpenCall).where(col(OpenCall.session_id) == session_id).with_for_update()
    return list((await session.execute(statement)).scalars())
