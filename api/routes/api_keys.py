"""The project's API keys."""

from typing import Annotated

from fastapi import Query, Request
from sqlalchemy import func, select

from api import keys
from api.answers import Many, One
from api.context import unit_of
from api.keys import needs
from api.pages import Window
from api.router import Router
from api.rows import Rows, rows
from api.workflows import Session
from kit.errors import Forbidden, Invalid
from models.api_key import ApiKey
from models.api_key_wire import API_KEYS, ApiKeyGenerate, ApiKeyRead, ApiKeyRevoke, NewApiKey
from models.base import now

router = Router("/project/api-keys", "API Keys")
ApiKeys = Annotated[Rows[ApiKey, ApiKeyRead], rows(API_KEYS)]


@router.get("", needs("projects:read"))
async def list_api_keys(api_keys: ApiKeys, window: Annotated[Window, Query()]) -> Many[ApiKeyRead]:
    """List the project's API keys, revoked ones too, newest first."""
    return api_keys.page(window)


@router.post("/generate", needs("api-keys:write"), creates=True)
async def generate_api_key(body: ApiKeyGenerate, session: Session, request: Request) -> NewApiKey:
    """Make an API key; its secret is in this answer and nowhere else.

    A key can only grant scopes that it has itself.
    """
    caller = unit_of(request).key
    missing = sorted(set(body.scopes) - set(caller.scopes))
    if missing:
        raise Forbidden(f"This key cannot grant what it does not have: {', '.join(missing)}.")
    if body.expires_at is not None and body.expires_at <= now():
        raise Invalid("expiresAt: must be in the future.", field="expiresAt")
    key, secret = ApiKey.generate(
        project_id=caller.project_id,
        member_id=caller.member_id,
        name=body.name,
        scopes=list(dict.fromkeys(body.scopes)),
        expires_at=body.expires_at,
    )
    session.add(key)
    return NewApiKey(**key.model_dump(exclude={"hash", "project_id"}), key=secret)


@router.post("/revoke", needs("api-keys:write"))
async def revoke_api_key(body: ApiKeyRevoke, api_keys: ApiKeys, session: Session) -> One[ApiKeyRead]:
    """Revoke an API key: it is refused from now on, everywhere.

    Revoking a key again changes nothing.
    """
    key = await api_keys.get(body.key_id, lock=True)
    key.revoked_at = key.revoked_at or now()
    await session.execute(select(func.pg_notify(keys.CHANNEL, key.id)))
    api_keys.unit.after.append(api_keys.unit.api.keys.spread)
    return api_keys.one(key.id)
