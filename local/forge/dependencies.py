"""What every route takes: the store, the caller's view of the site, and the repository in the address."""

from typing import Annotated

from fastapi import Depends, Path, Request

from local.forge.access import Keeper
from local.forge.errors import NotFound, Unauthenticated
from local.forge.repositories import Repository, Store
from local.forge.site import Site as SiteHere


def store(request: Request) -> Store:
    """The one store of this process."""
    held: Store = request.app.state.store
    return held


def site(request: Request, store: Annotated[Store, Depends(store)]) -> SiteHere:
    """The forge as this caller sees it; a wrong token is refused here, whatever is asked for."""
    keeper: Keeper = request.app.state.keeper
    login = keeper.caller(request)
    return SiteHere(str(request.base_url).rstrip("/"), login or store.login, login is not None)


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
    """The repository in the address; a private one does not exist for callers without a token."""
    found = await store.find(owner, repo)
    if found.private and not site.authenticated:
        raise NotFound
    return found


async def writable(found: Annotated[Repository, Depends(readable)], _: User) -> Repository:
    """The same for a change."""
    return found


Readable = Annotated[Repository, Depends(readable)]
Writable = Annotated[Repository, Depends(writable)]
