"""Refusals of a sandbox's egress in its job's log: told when the sandbox ends, as nobody can ask it later."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from activities.gateway_factory import GatewayFactory, external_call
from activities.projects.credentials import Credentials
from gateways.errors import GatewayError
from kit.database import Database
from kit.logs import logger
from kit.storable_text import replace_unstorable
from models import Event, Sandbox
from models.event import EventType, append_event
from models.jobs.job_lookup import get_job

log = logger(__name__)


async def append_refusals(
    database: Database, gateways: GatewayFactory, credentials: Credentials, sandbox: Sandbox
) -> None:
    """Append an event for each host that the sandbox asked for in vain, once for each host of its job.

    Killed before the commit, it is asked and told again; after, each host is found told.  What cannot be
    asked or written is logged and left out: a sandbox ends all the same, whatever it asked for.
    """
    if sandbox.provider_id is None:
        return
    try:
        with external_call():
            facts = await gateways.sandboxes(credentials).look_up(sandbox.provider_id)
        if facts is not None and facts.refused:
            await _append(database, credentials, sandbox, facts.refused)
    except (GatewayError, SQLAlchemyError) as error:
        log.warning(
            "egress.not_told", sandbox=sandbox.id, reason=credentials.redactor.redact_text(str(error))
        )


async def _append(
    database: Database, credentials: Credentials, sandbox: Sandbox, refused: Mapping[str, int]
) -> None:
    hosts = col(Event.data)["host"].astext
    told = select(hosts).where(
        col(Event.subject_id) == sandbox.job_id, col(Event.type) == EventType.egress_refused
    )
    async with database.transaction() as session:
        job = await get_job(session, sandbox.job_id, lock=True)
        if job.is_finished:
            return
        before = set((await session.execute(told)).scalars())
        for name, count in refused.items():
            host = str(replace_unstorable(credentials.redactor.redact_text(name)))
            if host not in before:
                append_event(
                    session,
                    job,
                    EventType.egress_refused,
                    {"host": host, "count": count, "sandboxId": sandbox.id},
                )
