"""Hooks: where GitHub tells of the project's repositories."""

from typing import Annotated

from fastapi import Query

from api.after_commit import DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.http.rows import ProjectRows, project_rows
from models.github.hook import GithubHook, create_hook, new_hook_secret
from models.github.hook_schemas import (
    GITHUB_HOOKS,
    GithubHookCreate,
    GithubHookRead,
    NewGithubHook,
    hook_read,
    hook_with_secret,
)
from models.projects.project import Role

router = Router("/github/hooks", "Webhooks")
READ, WRITE = requires("projects:read"), requires("projects:write", role=Role.admin)
Hooks = Annotated[ProjectRows[GithubHook, GithubHookRead], project_rows(GITHUB_HOOKS)]


@router.get("", READ)
async def list_github_hooks(hooks: Hooks, window: Annotated[PageQuery, Query()]) -> ItemPage[GithubHookRead]:
    """List the project's hooks for GitHub, newest first."""
    return hooks.page(window)


@router.post("", WRITE, creates=True)
async def create_github_hook(body: GithubHookCreate, hooks: Hooks, session: DbSession) -> NewGithubHook:
    """Create a hook, for GitHub to tell of the project's repositories.

    The answer shows its secret, once. On GitHub, add a webhook to the repository: the payload URL is this
    server with the hook's `path`, the content type `application/json`, and the events are check runs, check
    suites, statuses, pull requests and pushes. What comes in touches this project only.
    """
    unit, secret = hooks.unit, new_hook_secret()
    hook = await create_hook(session, unit.key.project_id, body.description, unit.api.vault.seal(secret))
    return hook_with_secret(hook, secret)


@router.get("/{id}", READ)
async def get_github_hook(id: str, hooks: Hooks) -> Item[GithubHookRead]:
    """Get one hook for GitHub."""
    return hooks.item(id)


@router.post("/{id}/rotate-secret", WRITE)
async def rotate_github_hook_secret(id: str, hooks: Hooks) -> NewGithubHook:
    """Replace the secret of a hook for GitHub; the answer shows the new one, once.

    For 24 hours what is signed with the old one is taken, too: change it on GitHub within that time.
    """
    hook = await hooks.get(id, lock=True)
    secret = new_hook_secret()
    hook.rotate(hooks.unit.api.vault.seal(secret))
    return hook_with_secret(hook, secret)


@router.delete("/{id}", WRITE)
async def delete_github_hook(id: str, hooks: Hooks, session: DbSession) -> GithubHookRead:
    """Delete a hook for GitHub: what it is told from now on is refused."""
    hook = await hooks.get(id, lock=True)
    await session.delete(hook)
    return hook_read(hook)
