"""The project's own keys of the outside systems."""

from typing import Annotated

from fastapi import Query, Request
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from api.after_commit import Session
from api.auth import needs
from api.http.pagination import Window
from api.http.responses import Many, One
from api.http.router import Router
from api.http.rows import Rows, rows
from api.sandboxes.accounts import must_keep_sandboxes
from api.state import unit_of
from kit.crypto import last_four
from kit.errors import NotFound
from kit.ids import new_id
from models.base import now
from models.projects.api_key_schemas import PROVIDER_KEYS, ProviderKeyDelete, ProviderKeyRead, ProviderKeySet
from models.projects.project import Role
from models.projects.provider_key import Provider, ProviderKey

router = Router("/project/provider-keys", "Provider Keys")
WRITE = needs("api-keys:write", Role.admin)
ProviderKeys = Annotated[Rows[ProviderKey, ProviderKeyRead], rows(PROVIDER_KEYS)]


@router.get("", needs("projects:read"))
async def list_provider_keys(
    provider_keys: ProviderKeys, window: Annotated[Window, Query()]
) -> Many[ProviderKeyRead]:
    """List the project's provider keys; of each only the last four characters are shown."""
    return provider_keys.page(window)


@router.post("/set", WRITE)
async def set_provider_key(
    body: ProviderKeySet, provider_keys: ProviderKeys, session: Session, request: Request
) -> One[ProviderKeyRead]:
    """Set or replace the key of a provider; it is stored encrypted.

    A key of another E2B account is refused while sandboxes of the project live in the present one.
    """
    unit = unit_of(request)
    if body.provider is Provider.e2b:
        await must_keep_sandboxes(unit, session, body.key)
    given = {"sealed": unit.api.vault.seal(body.key), "last_four": last_four(body.key), "updated_at": now()}
    row = {
        "id": new_id("pvk"),
        "project_id": unit.key.project_id,
        "provider": body.provider,
        "created_at": now(),
    }
    statement = insert(ProviderKey).values(**row, **given)
    statement = statement.on_conflict_do_update(index_elements=["project_id", "provider"], set_=given)
    row_id = (await session.execute(statement.returning(col(ProviderKey.id)))).scalar_one()
    return provider_keys.one(row_id)


@router.post("/delete", WRITE)
async def delete_provider_key(body: ProviderKeyDelete, session: Session, request: Request) -> ProviderKeyRead:
    """Delete the key of a provider; the server's own is used from then on, if it has one.

    That of an E2B account is refused while sandboxes of the project live in it.
    """
    statement = select(ProviderKey).where(
        col(ProviderKey.project_id) == unit_of(request).key.project_id,
        col(ProviderKey.provider) == body.provider,
    )
    key = (await session.exec(statement)).one_or_none()
    if key is None:
        raise NotFound("Provider key not found.")
    if body.provider is Provider.e2b:
        await must_keep_sandboxes(unit_of(request), session, None)
    await session.delete(key)
    return ProviderKeyRead.model_validate(key)
