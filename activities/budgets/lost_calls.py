"""Model calls whose answers are not recorded: charged as far as the provider had said.

The provider names the input when it begins to answer, and little of the output: that nobody can know.
"""

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.agent.conversation import Speaker, read_speaker
from activities.budgets.spending import spending_of
from gateways.anthropic.conversation import Usage
from kit.database import Database
from kit.logs import logger
from models import CostRate, OpenCall
from models.agent.turn import record_cut
from models.base import now
from models.budgets.reservation import LEASE
from models.budgets.usage import rate_of
from models.jobs.job_lookup import job_of

log = logger(__name__)


def is_lost(call: OpenCall) -> bool:
    """Whether its attempt has died for certain, whatever became of its job."""
    return call.opened_at <= now() - LEASE


async def charge_lost_calls(database: Database, session_id: str, *, is_over: bool) -> int:
    """Charge those of a session, each once: by its message's id.  How many there were.

    is_over: its job is, so that none of them has an attempt any more.
    """
    speaker = await read_speaker(database, session_id)
    agent = speaker.agent
    async with database.transaction() as session:
        await job_of(session, agent.job_id, lock=True)  # as who records an answer does
        lost = [call for call in await _open(session, session_id) if is_over or is_lost(call)]
        for call in lost:
            rate = await rate_of(
                session, call.model, agent.project_id, installations_first=call.counts_for_quota
            )
            await charge_lost(session, speaker, call, rate, is_cut=False)
            log.info("turn.lost_call_charged", session_id=session_id, model=call.model, usage=call.usage)
    return len(lost)


async def charge_lost(
    session: AsyncSession, speaker: Speaker, call: OpenCall, rate: CostRate | None, *, is_cut: bool
) -> int:
    """Charge a call, once, to all that pay for it, the quota of the server's key if it counts for that.

    is_cut: its answer never got whole, and not because we left; how many of those there were in a row.
    """
    usage = Usage.model_validate(call.usage)
    spending = spending_of(
        speaker, usage, rate, call.source_id, call.sequence, counts_for_quota=call.counts_for_quota
    )
    return await record_cut(session, speaker.agent, spending, is_cut=is_cut, unless=call.source_id)


async def _open(session: AsyncSession, session_id: str) -> list[OpenCall]:
    statement = select(OpenCall).where(col(OpenCall.session_id) == session_id).with_for_update()
    return list((await session.execute(statement)).scalars())
