"""Admission: whether a sweep may touch anything, and an operator's claim of a namespace for a database.

Only what is the installation's own is touched, from the namespace that is its own.
"""

from typing import Final

from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from kit.database import Database
from kit.ids import new_id
from kit.logs import logger
from kit.settings import Settings
from kit.temporal import INSTALLATION, connect
from kit.tenancy import DatabaseRole
from models.reconcile.installation import Installation, get_installation

RECONCILE_REFUSED: Final = "RECONCILE_REFUSED"
START_SCHEDULE: Final = "codecourier-start"
RECONCILE_SCHEDULE: Final = "codecourier-reconcile"
TRASH_SCHEDULE: Final = "codecourier-trash"
"""Whoever made it owns the namespace: it carries the id of its installation."""

log = logger(__name__)


class NamespaceTaken(Exception):
    """The namespace belongs to another installation; two in one would do each other's work."""

    def __init__(self, namespace: str, owner: str) -> None:
        super().__init__(
            f"The Temporal namespace {namespace} belongs to installation {owner}, which is not that of this "
            "database: correct TEMPORAL_NAMESPACE or DATABASE_URL; to take the namespace over, run "
            "codecourier claim --take-over."
        )


async def require_admission(database: Database, client: Client, installation: str | None) -> Installation:
    """The installation, if a sweep of it may go on here.

    installation: whose sweep it is.  Raises ApplicationError `RECONCILE_REFUSED` that says why not.
    """
    async with database.transaction() as session:
        own = await get_installation(session)
        reason = own.mismatch_reason(client.namespace)
        if reason is None and installation != own.id:
            reason = f"This sweep is that of {installation or 'no installation'}, this database is {own.id}."
        if reason is not None:
            own.record_refusal(reason)
    if reason is None:
        return own
    log.error("reconcile.refused", reason=reason, namespace=client.namespace)
    raise ApplicationError(reason, type=RECONCILE_REFUSED, non_retryable=True)


async def bind_namespace(database: Database, client: Client) -> str | None:
    """Have the database and the client's namespace belong together, unless one of them has another already.

    Why nothing may be swept from here, or None.  Raises `NamespaceTaken`, and RPCError.
    """
    async with database.read_only() as session:
        own = (await get_installation(session)).id
    owner = await namespace_owner(client)
    if owner not in (None, own):
        raise NamespaceTaken(client.namespace, owner)
    async with database.transaction() as session:
        installation = await get_installation(session, lock=True)
        reason = installation.bind(client.namespace)
        if reason is not None:
            installation.record_refusal(reason)
    if reason is not None:
        log.error("reconcile.refused", reason=reason, namespace=client.namespace)
    return reason


async def namespace_owner(client: Client) -> str | None:
    """The installation that the client's namespace belongs to; None where no worker was ever."""
    try:
        description = await client.get_schedule_handle(RECONCILE_SCHEDULE).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None
    return description.typed_search_attributes.get(INSTALLATION)


async def claim_namespace(settings: Settings, *, copy: bool, take_over: bool) -> str:
    """Bind the database to the configured namespace; the installation's id.

    copy: give the database a new id, as its own is that of the one it was copied from.
    take_over: from another installation; its schedules here are removed, and a worker makes ours.
    Raises `NamespaceTaken`, and RuntimeError when Temporal cannot be reached.
    """
    client = await connect(settings)
    database = Database(settings.sqlalchemy_url, role=DatabaseRole.worker, pool_size=1)
    try:
        owner = await namespace_owner(client)
        async with database.transaction() as session:
            installation = await get_installation(session, lock=True)
            own = new_id("ins") if copy else installation.id
            if owner not in (None, own) and not take_over:
                raise NamespaceTaken(client.namespace, str(owner))
            installation.claim(own, client.namespace)
        if owner not in (None, own):
            for schedule in (RECONCILE_SCHEDULE, START_SCHEDULE, TRASH_SCHEDULE):
                try:
                    await client.get_schedule_handle(schedule).delete()
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
        return own
    finally:
        await database.close()
