"""What every route takes: the store, the caller's view of the site, and the repository in the address."""

from typing import Annotated

from fastapi import Depends, Path, Request

from local.forge.authentication import Authenticator
from local.forge.errors import Forbidden, NotFound, Unauthenticated
from local.forge.github_app import Grant
from local.forge.store.repositories import Repository, Store
from local.forge.viewer import API, Viewer


def store(request: Request) -> Store:
    """The one store of this process."""
    held: Store = request.app.state.store
    return held


def current_viewer(request: Request, store: Annotated[Store, Depends(store)]) -> Viewer:
    """The forge as this caller sees it; a wrong token is refused here, whatever is asked for.

    So is one of an App's installation that lacks the permission.
    """
    keeper: Authenticator = request.app.state.keeper
    root, caller = str(request.base_url).rstrip("/"), keeper.caller(request)
    if isinstance(caller, Grant):
        if request.url.path.startswith(API):
            caller.check(request.method, request.url.path)
        return Viewer(root, caller.login, authenticated=True, grant=caller)
    return Viewer(root, caller or store.login, caller is not None)


PositiveId = Annotated[int, Path(ge=1, lt=2**53)]
CurrentStore = Annotated[Store, Depends(store)]
CurrentViewer = Annotated[Viewer, Depends(current_viewer)]


def current_login(site: CurrentViewer) -> str:
    """The login of the caller, who must have sent the token."""
    if not site.authenticated:
        raise Unauthenticated
    return site.login


CurrentLogin = Annotated[str, Depends(current_login)]


async def readable_repository(owner: str, repo: str, site: CurrentViewer, store: CurrentStore) -> Repository:
    """The repository in the address; a private one does not exist for callers who may not see it."""
    found = await store.find(owner, repo)
    if not site.sees(found):
        raise NotFound
    return found


async def writable_repository(
    found: Annotated[Repository, Depends(readable_repository)], site: CurrentViewer, _: CurrentLogin
) -> Repository:
    """The same for a change; another's public repository is none for an App's installation."""
    if site.grant is not None and not site.grant.opens(found.id, found.owner):
        raise Forbidden("Resource not accessible by integration")
    return found


ReadableRepository = Annotated[Repository, Depends(readable_repository)]
WritableRepository = Annotated[Repository, Depends(writable_repository)]
