"""One request, one effect: a POST with an `Idempotency-Key` is done once and answered the same for 24 hours.

The key is claimed in a transaction of its own before the handler runs, so that a second request at the same
time is told to wait.  The response is stored **in the handler's transaction**: either both are there after a
crash, and a retry is answered with it, or neither is, and a retry starts afresh once the claim has grown old.
A handler whose claim was taken over cannot commit: storing fails and takes its transaction back.

What the engine adds after the commit changes the answer: that of a start is stored provisionally (a negative
status) and again when the engine has it; that of a command, which the engine refuses the second time, right
after it.  Bodies are sealed: the answer to a new API key holds its secret.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from fastapi import Response
from sqlalchemy import ColumnElement, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.crypto import Vault
from kit.database import Database
from kit.errors import Conflict, IdempotencyMismatch, Invalid
from models import IdempotencyRecord
from models.base import now

KEPT = timedelta(hours=24)
ABANDONED = timedelta(seconds=30)
"""After this long an unfinished claim belongs to a process that died."""


class StillRunning(Conflict):
    retryable = True


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer this key; `claimed_at` tells it from a later claim of the same key."""

    project_id: str
    key: str
    claimed_at: datetime


def fingerprint(method: str, path: str, query: bytes, body: bytes) -> str:
    return sha256(b"\0".join([method.encode(), path.encode(), query, body])).hexdigest()


class Idempotency:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    async def claim(self, project_id: str, key: str, request: str) -> Claim | Response:
        """A claim, or the answer that was given before; StillRunning or IdempotencyMismatch otherwise."""
        if not (1 <= len(key) <= 255 and key.isprintable()):
            raise Invalid("Idempotency-Key: 1 to 255 printable characters.", field="Idempotency-Key")
        at = now()
        fresh = {"request_hash": request, "created_at": at, "status_code": None, "body": None}
        record = insert(IdempotencyRecord).values(project_id=project_id, key=key, **fresh)
        created_at = col(IdempotencyRecord.created_at)
        unfinished = col(IdempotencyRecord.status_code).is_(None)
        record = record.on_conflict_do_update(
            index_elements=["project_id", "key"],
            set_=fresh,
            where=or_(created_at < at - KEPT, unfinished & (created_at < at - ABANDONED)),
        )
        async with self._database.transaction() as session:
            if (await session.execute(record.returning(created_at))).one_or_none() is not None:
                return Claim(project_id, key, at)
            statement = select(IdempotencyRecord).where(
                col(IdempotencyRecord.project_id) == project_id, col(IdempotencyRecord.key) == key
            )
            known = (await session.execute(statement)).scalar_one_or_none()
        if known is not None and known.request_hash != request:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request: choose a new one.")
        status = known.status_code if known else None
        if known is None or status is None or (status < 0 and at - known.created_at < ABANDONED):
            raise StillRunning("The first request with this Idempotency-Key is still running.", retry_after=1)
        body = self._vault.open((known.body or b"").decode())
        headers = {"Idempotent-Replayed": "true"}
        return Response(body, abs(status), headers, media_type="application/json")

    async def store(
        self, session: AsyncSession, claim: Claim, response: Response, *, provisional: bool = False
    ) -> None:
        """Remember the answer within `session`'s transaction; StillRunning when the claim was lost.

        `provisional`: a better one is expected in a moment, and this one counts if it never comes.
        """
        sealed = self._vault.seal(bytes(response.body).decode()).encode()
        statement = update(IdempotencyRecord).where(*self._of(claim)).values(
            status_code=-response.status_code if provisional else response.status_code, body=sealed
        )  # fmt: skip
        if (await session.execute(statement.returning(col(IdempotencyRecord.key)))).one_or_none() is None:
            raise StillRunning("Another request with this Idempotency-Key took over.", retry_after=1)

    async def keep(self, claim: Claim, response: Response) -> None:
        """Remember the answer in a transaction of its own."""
        async with self._database.transaction() as session:
            await self.store(session, claim, response)

    async def release(self, claim: Claim) -> None:
        """Forget the claim, so that a retry starts afresh."""
        async with self._database.transaction() as session:
            unfinished = col(IdempotencyRecord.status_code).is_(None)
            await session.execute(delete(IdempotencyRecord).where(*self._of(claim), unfinished))

    @staticmethod
    def _of(claim: Claim) -> tuple[ColumnElement[bool], ...]:
        return (
            col(IdempotencyRecord.project_id) == claim.project_id,
            col(IdempotencyRecord.key) == claim.key,
            col(IdempotencyRecord.created_at) == claim.claimed_at,
        )
