"""The project's API keys."""

from typing import Annotated

from fastapi import Query, Request
from sqlmodel import col

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from api.state import unit_of_work_of
from kit.errors import AuthInvalid, Invalid
from models.base import now
from models.projects.api_key import ApiKey, key_tree_condition, revoke_keys
from models.projects.api_key_schemas import API_KEYS, ApiKeyGenerate, ApiKeyRead, ApiKeyRevoke, NewApiKey
from models.projects.members import ProjectMembers

router = Router("/project/api-keys", "API Keys")
ApiKeys = Annotated[ProjectRows[ApiKey, ApiKeyRead], project_rows(API_KEYS)]


@router.get("", requires("projects:read"))
async def list_api_keys(api_keys: ApiKeys, window: Annotated[PageQuery, Query()]) -> ItemPage[ApiKeyRead]:
    """List the project's API keys, revoked ones too, newest first."""
    return api_keys.page(window)


@router.post("/generate", requires("api-keys:write"), creates=True)
async def generate_api_key(body: ApiKeyGenerate, session: DbSession, request: Request) -> NewApiKey:
    """Make an API key; its secret is in this answer and nowhere else.

    A key can only grant scopes that it has itself and lasts no longer than the key that makes it, with which
    it is revoked; what it may do never exceeds the role of its member. An admin may make one for another
    member, who has joined with it; those of owners are made by owners. Repeated with the same
    `Idempotency-Key`, it is answered 409 `SECRET_SHOWN` with the id of the key that was made.
    """
    caller = unit_of_work_of(request).key
    if body.expires_at is not None and body.expires_at <= now():
        raise Invalid("expiresAt: must be in the future.", field="expiresAt")
    team = await ProjectMembers.lock(session, caller.project_id)
    member_id = body.member_id or caller.member_id
    if member_id != caller.member_id:
        await team.accept(team.require_managed_member(caller.member_id, member_id))
    maker = await session.get_one(ApiKey, caller.id)
    if maker.revoked_at is not None:
        raise AuthInvalid("This API key was revoked a moment ago.")
    key, secret = maker.derive(
        member_id=member_id, name=body.name, scopes=body.scopes, expires_at=body.expires_at
    )
    session.add(key)
    return NewApiKey(**key.model_dump(exclude={"hash", "project_id"}), key=secret)


@router.post("/revoke", requires("api-keys:write"))
async def revoke_api_key(body: ApiKeyRevoke, api_keys: ApiKeys, session: DbSession) -> Item[ApiKeyRead]:
    """Revoke an API key and all that were made with it: they are refused from now on, everywhere.

    What was made with a key that was made with it goes, too, whoever's it is; `keepMade` revokes this key
    alone. Members revoke their own keys, admins those of others and of who left, and owners those of owners.
    Revoked again, a key stays as it is, and what it made is revoked unless it is to be kept.
    """
    caller = api_keys.unit.key
    team = await ProjectMembers.lock(session, caller.project_id)
    key = await api_keys.get(body.key_id, lock=True)
    team.require_may_revoke(caller.member_id, key.member_id)
    if body.keep_made:
        key.revoke()
    else:
        await revoke_keys(session, key_tree_condition(col(ApiKey.id) == key.id))
    api_keys.unit.after_commit.append(api_keys.unit.api.keys.wait_for_propagation)
    return api_keys.item(key.id)
