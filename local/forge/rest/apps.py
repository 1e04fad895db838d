"""GitHub Apps: where one is installed, and tokens for its installations; asked with the App's signature."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request

from local.forge.authentication import Authenticator, bearer_token
from local.forge.errors import BadCredentials, Invalid, NotFound, Unauthenticated
from local.forge.github_app import App
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentStore
from local.forge.store.repositories import Repository
from local.forge.viewer import Json, Viewer, node_id

router = APIRouter()


class CreateToken(Body):
    """Without repositories it is for all of the installation's; without permissions it has all of them."""

    repositories: list[str] | None = None
    repository_ids: list[int] | None = None
    permissions: dict[str, Literal["read", "write", "admin"]] | None = None


def authenticated_github_app(request: Request) -> App:
    """The App whose key has signed this request."""
    keeper: Authenticator = request.app.state.keeper
    token = bearer_token(request)
    if token is None:
        raise Unauthenticated
    if keeper.app is None:
        raise BadCredentials
    keeper.app.authenticate(token)
    return keeper.app


AuthenticatedApp = Annotated[App, Depends(authenticated_github_app)]


def anonymous_viewer(request: Request) -> Viewer:
    """The forge as an App sees it."""
    return Viewer(str(request.base_url).rstrip("/"), "", authenticated=True)


AnonymousViewer = Annotated[Viewer, Depends(anonymous_viewer)]


@router.get("/app")
async def authenticated_app(app: AuthenticatedApp, site: AnonymousViewer) -> Json:
    return {
        "id": app.id,
        "slug": f"app-{app.id}",
        "node_id": node_id("App", app.id),
        "owner": site.user("codecourier"),
        "name": f"app-{app.id}",
        "description": None,
        "external_url": site.root,
        "html_url": f"{site.root}/apps/app-{app.id}",
        "permissions": dict(app.permissions),
        "events": [],
    }


@router.get("/repos/{owner}/{repo}/installation")
async def repository_installation(
    owner: str, repo: str, app: AuthenticatedApp, site: AnonymousViewer, store: CurrentStore
) -> Json:
    found = await store.find(owner, repo)
    installation = app.installation(found.owner)
    if installation is None:
        raise NotFound
    return {
        "id": installation,
        "account": site.user(found.owner),
        "app_id": app.id,
        "app_slug": f"app-{app.id}",
        "target_id": installation,
        "target_type": "Organization",
        "repository_selection": "all",
        "permissions": dict(app.permissions),
        "events": [],
        "access_tokens_url": f"{site.api}/app/installations/{installation}/access_tokens",
        "repositories_url": f"{site.api}/installation/repositories",
        "html_url": f"{site.root}/organizations/{found.owner}/settings/installations/{installation}",
        "suspended_at": None,
        "suspended_by": None,
    }


@router.post("/app/installations/{installation}/access_tokens", status_code=201)
async def installation_token(
    installation: int, body: CreateToken, app: AuthenticatedApp, site: AnonymousViewer, store: CurrentStore
) -> Json:
    owner = app.owner_of(installation)
    if owner is None:
        raise NotFound
    wanted = await _requested_repositories(owner, body, store)
    ids = None if wanted is None else [repository.id for repository in wanted]
    token, ends, permissions = app.mint(owner, ids, body.permissions)
    made: Json = {
        "token": token,
        "expires_at": ends.isoformat().replace("+00:00", "Z"),
        "permissions": dict(permissions),
        "repository_selection": "all" if wanted is None else "selected",
    }
    return made if wanted is None else made | {"repositories": [site.repository(each) for each in wanted]}


async def _requested_repositories(
    owner: str, body: CreateToken, store: CurrentStore
) -> list[Repository] | None:
    """The repositories of the owner that are asked for; `Invalid` when one is not there, or another's."""
    if body.repositories is None and body.repository_ids is None:
        return None
    try:
        found = [await store.find(owner, name) for name in body.repositories or []]
        found += [await store.get(key) for key in body.repository_ids or []]
    except NotFound:
        found = []
    if not found or any(repository.owner.lower() != owner for repository in found):
        raise Invalid(
            "There is at least one repository that does not exist or is not accessible to the parent "
            "installation."
        )
    return found
