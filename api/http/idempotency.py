"""One request, one effect: a POST with an `Idempotency-Key` is done once and answered the same for 24 hours.

The header is claimed for the API key that sent it, in a transaction of its own before the handler runs, so
that a second request at the same time is told to wait, and no other key is ever given the answer.  The
response is stored **in the handler's transaction**: either both are there after a crash, and a retry is
answered with it, or neither is, and a retry starts afresh once the claim has grown old.  A handler whose
claim was taken over cannot commit: storing fails and takes its transaction back.

What Temporal adds after the commit changes the answer: that of a start is stored provisionally (a negative
status) and again when Temporal has it; that of a command, which Temporal refuses the second time, right after
it.  Bodies are sealed.  Of an answer that shows a secret only what it was about is stored: a repeat is
refused (SecretAlreadyShown) and told so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from fastapi import Response
from sqlalchemy import ColumnElement, case, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.crypto import Vault
from kit.database import Database
from kit.errors import Conflict, IdempotencyMismatch, Invalid, SecretAlreadyShown
from kit.ids import derived_id
from models import IdempotencyRecord
from models.base import now
from models.idempotency import RETENTION

ABANDONED_AFTER = timedelta(seconds=30)
"""After this long an unfinished claim belongs to a process that died."""


class StillRunning(Conflict):
    retryable = True


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to answer this header; `claimed_at` tells it from a later claim of the same one."""

    project_id: str
    key_id: str
    key: str
    claimed_at: datetime
    began_at: datetime
    """When the key was claimed first: a claim that is taken over goes on with what the dead one began."""

    def derive_id(self, prefix: str, what: str) -> str:
        """The id of what this request makes: after a crash, a retry finds what the first one made."""
        return derived_id(prefix, self.began_at, f"{self.project_id}:{self.key_id}:{self.key}:{what}")


def request_fingerprint(method: str, path: str, query: bytes, body: bytes) -> str:
    """What makes two requests of one key the same."""
    return sha256(b"\0".join([method.encode(), path.encode(), query, body])).hexdigest()


class IdempotencyStore:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault

    async def claim(self, project_id: str, key_id: str, key: str, request: str) -> Claim | Response:
        """A claim, or the answer that was given before.

        Raises StillRunning, IdempotencyMismatch, or SecretAlreadyShown where that answer is not kept.
        """
        if not (1 <= len(key) <= 255 and key.isprintable()):
            raise Invalid("Idempotency-Key: 1 to 255 printable characters.", field="Idempotency-Key")
        at = now()
        fresh = {
            "request_hash": request,
            "created_at": at,
            "status_code": None,
            "body": None,
            "made_id": None,
        }
        is_old = col(IdempotencyRecord.created_at) < at - RETENTION
        named = {"project_id": project_id, "key_id": key_id, "key": key}
        record = insert(IdempotencyRecord).values({**named, **fresh, "began_at": at})
        created_at = col(IdempotencyRecord.created_at)
        unfinished = col(IdempotencyRecord.status_code).is_(None)
        record = record.on_conflict_do_update(
            index_elements=[*named],
            set_={**fresh, "began_at": case((is_old, at), else_=col(IdempotencyRecord.began_at))},
            where=or_(is_old, unfinished & (created_at < at - ABANDONED_AFTER)),
        )
        async with self._database.for_project(project_id).transaction() as session:
            claimed = await session.execute(record.returning(col(IdempotencyRecord.began_at)))
            if (began_at := claimed.scalar_one_or_none()) is not None:
                return Claim(project_id, key_id, key, at, began_at)
            statement = select(IdempotencyRecord).filter_by(**named)
            known = (await session.execute(statement)).scalar_one_or_none()
        if known is not None and known.request_hash != request:
            raise IdempotencyMismatch("This Idempotency-Key was used for another request: choose a new one.")
        status = known.status_code if known else None
        if known is None or status is None or (status < 0 and at - known.created_at < ABANDONED_AFTER):
            raise StillRunning("The first request with this Idempotency-Key is still running.", retry_after=1)
        if known.body is None:
            raise _secret_shown_error(known.made_id)
        body = self._vault.open(known.body.decode())
        headers = {"Idempotent-Replayed": "true"}
        return Response(body, abs(status), headers, media_type="application/json")

    async def store(
        self, session: AsyncSession, claim: Claim, response: Response, *, provisional: bool = False
    ) -> None:
        """Remember the answer within `session`'s transaction; StillRunning when the claim was lost.

        `provisional`: a better one is expected in a moment, and this one counts if it never comes.
        """
        status = -response.status_code if provisional else response.status_code
        sealed = self._vault.seal(bytes(response.body).decode()).encode()
        await self._settle(session, claim, {"status_code": status, "body": sealed})

    async def store_without_answer(
        self, session: AsyncSession, claim: Claim, status: int, made_id: str | None
    ) -> None:
        """Remember within `session`'s transaction that it was done, of an answer that shows a secret.

        made_id: what it was about.  Raises StillRunning when the claim was lost.
        """
        await self._settle(session, claim, {"status_code": status, "body": None, "made_id": made_id})

    async def _settle(self, session: AsyncSession, claim: Claim, values: Mapping[str, object]) -> None:
        statement = update(IdempotencyRecord).where(*self._claim_condition(claim)).values(values)
        if (await session.execute(statement.returning(col(IdempotencyRecord.key)))).one_or_none() is None:
            raise StillRunning("Another request with this Idempotency-Key took over.", retry_after=1)

    async def store_separately(self, claim: Claim, response: Response) -> None:
        """Remember the answer in a transaction of its own."""
        async with self._database.for_project(claim.project_id).transaction() as session:
            await self.store(session, claim, response)

    async def release(self, claim: Claim) -> None:
        """Forget the claim, so that a retry starts afresh."""
        async with self._database.for_project(claim.project_id).transaction() as session:
            unfinished = col(IdempotencyRecord.status_code).is_(None)
            await session.execute(delete(IdempotencyRecord).where(*self._claim_condition(claim), unfinished))

    @staticmethod
    def _claim_condition(claim: Claim) -> tuple[ColumnElement[bool], ...]:
        return (
            col(IdempotencyRecord.project_id) == claim.project_id,
            col(IdempotencyRecord.key_id) == claim.key_id,
            col(IdempotencyRecord.key) == claim.key,
            col(IdempotencyRecord.created_at) == claim.claimed_at,
        )


def _secret_shown_error(made_id: str | None) -> SecretAlreadyShown:
    about = f" ({made_id})" if made_id else ""
    return SecretAlreadyShown(
        f"The first request with this Idempotency-Key was carried out{about}. Its answer held a secret, which"
        " is shown once and not kept. If that answer was lost, undo what it made, or rotate the secret, and"
        " ask again with another Idempotency-Key."
    )
