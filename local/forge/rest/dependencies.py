"""What every route takes: the store, the caller's view of the site, and the repository in the address."""

from typing import Annotated

from fastapi import Depends, Path, Request

from local.forge.authentication import Keeper
from local.forge.errors import Forbidden, NotFound, Unauthenticated
from local.forge.github_app import Grant
from local.forge.store.repositories import Repository, Store
from local.forge.viewer import API
from local.forge.viewer import Site as SiteHere


def store(request: Request) -> Store:
    """The one store of this process."""
    held: Store = request.app.state.store
    return held


def site(request: Request, store: Annotated[Store, Depends(store)]) -> SiteHere:
    """The forge as this caller sees it; a wrong token is refused here, whatever is asked for.

    So is one of an App's installation that lacks the permission.
    """
    keeper: Keeper = request.app.state.keeper
    root, caller = str(request.base_url).rstrip("/"), keeper.caller(request)
    if isinstance(caller, Grant):
        if request.url.path.startswith(API):
            caller.check(request.method, request.url.path)
        return SiteHere(root, caller.login, authenticated=True, grant=caller)
    return SiteHere(root, caller or store.login, caller is not None)


Number = Annotated[int, Path(ge=1, lt=2**53)]
Held = Annotated[Store, Depends(store)]
Site = Annotated[SiteHere, Depends(site)]


def user(site: Site) -> str:
    """The login of the caller, who must have sent the token."""
    if not site.authenticated:
        raise Unauthenticated
    return site.login


User = Annotated[str, Depends(user)]


async def readable(owner: str, repo: str, site: Site, store: Held) -> Repository:
    """The repository in the address; a private one does not exist for callers who may not see it."""
    found = await store.find(owner, repo)
    if not site.sees(found):
        raise NotFound
    return found


async def writable(found: Annotated[Repository, Depends(readable)], site: Site, _: User) -> Repository:
    """The same for a change; another's public repository is none for an App's installation."""
    if site.grant is not None and not site.grant.opens(found.id, found.owner):
        raise Forbidden("Resource not accessible by integration")
    return found


Readable = Annotated[Repository, Depends(readable)]
Writable = Annotated[Repository, Depends(writable)]
