"""Who calls, and whether the service is up."""

from typing import Literal

from fastapi import Request

from api.context import api_of, unit_of
from api.keys import ANY_KEY
from api.router import Router
from kit.wire import Wire
from models.api_key_wire import WhoAmI
from models.view import example

router = Router("", "Discovery, identity and others")
probes = Router("", "Probes", base="")
routers = [router, probes]


class Health(Wire):
    model_config = example(status="ok")
    status: Literal["ok"] = "ok"


@router.get("/whoami", ANY_KEY)
async def whoami(request: Request) -> WhoAmI:
    """Tell which key this is and what it may do."""
    key = unit_of(request).key
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
async def readyz(request: Request) -> Health:
    """Tell whether the database and the engine can be reached.

    503 with the reason otherwise.
    """
    api = api_of(request)
    await api.reads.fetch("SELECT 1", {})
    await api.engine.reachable()
    return Health()
