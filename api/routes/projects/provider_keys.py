"""The project's own keys of the outside systems."""

from typing import Annotated

from fastapi import Query, Request
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.sandboxes.accounts import require_reachable_sandboxes
from api.state import unit_of_work_of
from kit.crypto import last_four
from kit.errors import NotFound
from kit.ids import new_id
from models.base import now
from models.projects.api_key_schemas import PROVIDER_KEYS, ProviderKeyDelete, ProviderKeyRead, ProviderKeySet
from models.projects.project import Role
from models.projects.provider_key import Provider, ProviderKey

router = Router("/project/provider-keys", "Provider Keys")
WRITE = requires("api-keys:write", Role.admin)
ProviderKeys = Annotated[ProjectRows[ProviderKey, ProviderKeyRead], project_rows(PROVIDER_KEYS)]


@router.get("", requires("projects:read"))
async def list_provider_keys(
    provider_keys: ProviderKeys, window: Annotated[PageQuery, Query()]
) -> ItemPage[ProviderKeyRead]:
    """List the project's provider keys; of each only the last four characters are shown."""
    return provider_keys.page(window)


@router.post("/set", WRITE)
async def set_provider_key(
    body: ProviderKeySet, provider_keys: ProviderKeys, session: DbSession, request: Request
) -> Item[ProviderKeyRead]:
    """Set or replace the key of a provider; it is stored encrypted.

    A key of another E2B account is refused while sandboxes of the project live in the present one.
    """
    unit = unit_of_work_of(request)
    if body.provider is Provider.e2b:
        await require_reachable_sandboxes(unit, session, body.key)
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
    return provider_keys.item(row_id)


@router.post("/delete", WRITE)
async def delete_provider_key(
    body: ProviderKeyDelete, session: DbSession, request: Request
) -> ProviderKeyRead:
    """Delete the key of a provider; the server's own is used from then on, if it has one.

    That of an E2B account is refused while sandboxes of the project live in it.
    """
    statement = select(ProviderKey).where(
        col(ProviderKey.project_id) == unit_of_work_of(request).key.project_id,
        col(ProviderKey.provider) == body.provider,
    )
    key = (await session.exec(statement)).one_or_none()
    if key is None:
        raise NotFound("Provider key not found.")
    if body.provider is Provider.e2b:
        await require_reachable_sandboxes(unit_of_work_of(request), session, None)
    await session.delete(key)
    return ProviderKeyRead.model_validate(key)
