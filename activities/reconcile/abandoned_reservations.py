"""Reservations that nobody will settle, calls that nobody will charge, waits that nobody waits any more."""

from collections.abc import AsyncIterator
from datetime import timedelta

from sqlalchemy import delete, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from activities.budgets.lost_calls import charge_lost_calls, has_lease_expired
from activities.reconcile.findings import GRACE, PAGE_SIZE, Finding, Inconsistency, is_settled
from kit.database import Database
from models import OpenCall
from models.base import now
from models.budgets.reservation import Reservation
from models.budgets.wait import BudgetWait
from models.jobs.job_lookup import job_class


class AbandonedReservations:
    """What is set aside for a turn belongs to its attempts; it is nobody's when no attempt will come.

    That is so when the job is over, when the session waits for money, and when the lease has ended, which is
    longer than any attempt lasts.  Of a call that was being answered, what is known is charged then.
    """

    kind = Inconsistency.abandoned_reservation

    def __init__(self, database: Database, grace: timedelta = GRACE) -> None:
        self.database, self.grace = database, grace
        self.examined = 0

    async def find(self) -> AsyncIterator[Finding]:
        async with self.database.read_only() as session:
            oldest = select(Reservation).order_by(col(Reservation.leased_until)).limit(PAGE_SIZE)
            reservations = (await session.execute(oldest)).scalars().all()
            longest = select(BudgetWait).order_by(col(BudgetWait.since)).limit(PAGE_SIZE)
            waits = (await session.execute(longest)).scalars().all()
            earliest = select(OpenCall).order_by(col(OpenCall.opened_at)).limit(PAGE_SIZE)
            calls = (await session.execute(earliest)).scalars().all()
            jobs = {row.session_id: row.job_id for row in [*waits, *reservations]}
            nobodys = [
                each for each, job_id in jobs.items() if await self._is_abandoned(session, each, job_id)
            ]
            lost = [
                each
                for each in calls
                if has_lease_expired(each) or await self._is_job_finished(session, each.job_id)
            ]
            self.examined = len({*jobs, *(call.session_id for call in calls)})
            nobodys = [*dict.fromkeys([*nobodys, *(call.session_id for call in lost)])]
        for session_id in nobodys:
            yield Finding(
                kind=self.kind,
                id=session_id,
                since=None,
                what="Money is set aside, waited for, or owed, by a session that makes no call any more.",
                repair="gives it back to the budgets, or charges it",
            )

    async def repair(self, finding: Finding) -> str | None:
        """Delete them; a session of a living job that reserves anew meanwhile is looked at again before."""
        charged = await self._charge(finding.id)
        given_back = await self._release(finding)
        return ", ".join(filter(None, [charged, given_back])) or None

    async def _charge(self, session_id: str) -> str | None:
        async with self.database.read_only() as session:
            of_session = select(OpenCall).where(col(OpenCall.session_id) == session_id).limit(1)
            call = (await session.execute(of_session)).scalar_one_or_none()
            is_over = call is not None and await self._is_job_finished(session, call.job_id)
        if call is None or not await charge_lost_calls(self.database, session_id, is_over=is_over):
            return None
        return "charged"

    async def _release(self, finding: Finding) -> str | None:
        async with self.database.transaction() as session:
            of_session = col(Reservation.session_id) == finding.id
            reservations = (
                await session.execute(select(Reservation).where(of_session).with_for_update())
            ).scalars()
            waiting = col(BudgetWait.session_id) == finding.id
            rows = [*reservations, *(await session.execute(select(BudgetWait).where(waiting))).scalars()]
            if not rows or not await self._is_abandoned(session, finding.id, rows[0].job_id):
                return None
            await session.execute(delete(Reservation).where(of_session))
            if await self._is_job_finished(session, rows[0].job_id):
                await session.execute(delete(BudgetWait).where(waiting))
            return "given back"

    async def _is_abandoned(self, session: AsyncSession, session_id: str, job_id: str) -> bool:
        if await self._is_job_finished(session, job_id):
            return True
        of_session = col(Reservation.session_id) == session_id
        leases = (
            (await session.execute(select(col(Reservation.leased_until)).where(of_session))).scalars().all()
        )
        waiting = col(BudgetWait.session_id) == session_id
        waits = (await session.execute(select(col(BudgetWait.since)).where(waiting))).scalars().all()
        has_ended = any(lease <= now() for lease in leases)
        return has_ended or (bool(leases) and any(is_settled(moment, self.grace) for moment in waits))

    async def _is_job_finished(self, session: AsyncSession, job_id: str) -> bool:
        job = await session.get(job_class(job_id), job_id)
        return job is None or (job.is_finished and is_settled(job.completed_at, self.grace))
