"""The claim of an operator: which database and which namespace belong together."""

from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.admission import (
    RECONCILE_SCHEDULE,
    START_SCHEDULE,
    TRASH_SCHEDULE,
    NamespaceTaken,
    namespace_owner,
)
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from kit.tenancy import DatabaseRole
from models.reconcile.installation import get_installation


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
