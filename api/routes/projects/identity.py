"""Who calls, and whether the service is up."""

import asyncio
from typing import Literal

from fastapi import Request

from api.auth import ANY_KEY
from api.http.router import Router
from api.state import app_state_of, unit_of_work_of
from kit.errors import Unavailable
from kit.schemas import UtcTimestamp, Wire
from models.json_view import example
from models.projects.api_key_schemas import WhoAmI
from models.reconcile.sweep import last_successful_sweep

TEMPORAL_SECONDS = 1.0
"""How long a probe waits for Temporal."""

router = Router("", "Discovery, identity and others")
probes = Router("", "Probes", base="")
routers = [router, probes]


class Health(Wire):
    """That the service is up."""

    model_config = example(status="ok")
    status: Literal["ok"] = "ok"
    """Always `ok`; anything else is an error."""


class Readiness(Wire):
    """That the service can work, and how what it works with is."""

    model_config = example(status="ok", temporal="reachable", lastGoodSweepAt="2026-01-15T10:05:12.345Z")
    status: Literal["ok"] = "ok"
    """Always `ok`; anything else is an error."""
    temporal: Literal["reachable", "unreachable"]
    """Whether Temporal answers. Without it what is accepted stays pending, and commands are refused."""
    last_good_sweep_at: UtcTimestamp | None = None
    """Since when the sweeps, which start what is pending and repair what does not agree, are known to have
    succeeded; null if one of them never did."""


@router.get("/whoami", ANY_KEY)
async def whoami(request: Request) -> WhoAmI:
    """Tell which key this is and what it may do."""
    key = unit_of_work_of(request).key
    return WhoAmI(
        id=key.id,
        convex_id=key.id,
        key_id=key.id,
        project_id=key.project_id,
        member_id=key.member_id,
        name=key.name,
        scopes=list(key.scopes),
        created_at=key.created_at,
        last_used_at=key.last_used_at,
        expires_at=key.expires_at,
    )


@probes.get("/healthz", None)
async def healthz() -> Health:
    """Tell that the process is up."""
    return Health()


@probes.get("/readyz", None)
async def readyz(request: Request) -> Readiness:
    """Tell whether the service can work: whether it reaches its database; 503 with the reason otherwise.

    Without Temporal it accepts runs and serves reads, so that is only told.
    """
    api = app_state_of(request)
    async with api.database.read_only() as session:
        swept = await last_successful_sweep(session)
    try:
        async with asyncio.timeout(TEMPORAL_SECONDS):
            await api.temporal.check_reachable()
    except (Unavailable, TimeoutError):
        return Readiness(temporal="unreachable", last_good_sweep_at=swept)
    return Readiness(temporal="reachable", last_good_sweep_at=swept)
