"""Users, repositories, branches."""

from collections.abc import Collection

from fastapi import APIRouter

from local.forge.errors import NotFound
from local.forge.git import refs
from local.forge.git.commits import log, shape
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentStore, CurrentViewer, ReadableRepository
from local.forge.rest.pagination import Page
from local.forge.store import branch_protections
from local.forge.store.database import now
from local.forge.store.repositories import NewRepository, Repository
from local.forge.viewer import Json, quote_path

router = APIRouter()


class CreateRepository(Body):
    """Of GitHub's fields those that mean something here; private unless it says otherwise."""

    name: str
    description: str | None = None
    private: bool = True
    auto_init: bool = False


@router.get("/user")
async def authenticated_user(site: CurrentViewer, store: CurrentStore, login: CurrentLogin) -> Json:
    repos = await store.all()
    private = sum(repo.private for repo in repos)
    times = sorted(repo.created_at for repo in repos) or [now()]
    return site.user(login) | {
        "name": login,
        **dict.fromkeys(("email", "bio", "blog", "company", "location", "hireable"), None),
        **dict.fromkeys(("followers", "following", "public_gists", "private_gists", "collaborators"), 0),
        "public_repos": len(repos) - private,
        "owned_private_repos": private,
        "total_private_repos": private,
        "disk_usage": 0,
        "two_factor_authentication": False,
        "created_at": times[0],
        "updated_at": times[-1],
    }


@router.get("/user/repos")
async def own_repositories(
    site: CurrentViewer, store: CurrentStore, page: Page, _: CurrentLogin
) -> list[Json]:
    return [site.repository(repo) for repo in page.cut(await store.all())]


@router.post("/user/repos", status_code=201)
async def create_own_repository(
    body: CreateRepository, site: CurrentViewer, store: CurrentStore, login: CurrentLogin
) -> Json:
    return await create(login, body, site, store)


@router.post("/orgs/{owner}/repos", status_code=201)
async def create_repository(
    owner: str, body: CreateRepository, site: CurrentViewer, store: CurrentStore, _: CurrentLogin
) -> Json:
    return await create(owner, body, site, store)


async def create(owner: str, body: CreateRepository, site: CurrentViewer, store: CurrentStore) -> Json:
    """Makes it for any owner: the forge has one user, who may everything."""
    files = {"README.md": f"# {body.name}\n"} if body.auto_init else None
    new = NewRepository(owner, body.name, body.private, body.description, files=files)
    return site.repository(await store.create(new))


@router.get("/repos/{owner}/{repo}")
async def repository(found: ReadableRepository, site: CurrentViewer) -> Json:
    return site.repository(found)


@router.get("/repos/{owner}/{repo}/branches")
async def branches(
    found: ReadableRepository, site: CurrentViewer, page: Page, protected: bool | None = None
) -> list[Json]:
    guarded = await branch_protections.of_repository(found.db, found.id)
    heads = await refs.list_refs(found.git, "refs/heads")
    if protected is not None:
        heads = [ref for ref in heads if (ref.name.removeprefix("refs/heads/") in guarded) is protected]
    commits = f"{site.repo_api(found)}/commits"
    return [
        branch(ref.name, {"sha": ref.sha, "url": f"{commits}/{ref.sha}"}, guarded) for ref in page.cut(heads)
    ]


@router.get("/repos/{owner}/{repo}/branches/{name:path}")
async def one_branch(name: str, found: ReadableRepository, site: CurrentViewer) -> Json:
    (tip,) = await refs.branch_tips(found.git, name)
    if tip is None:
        raise NotFound("Branch not found")
    (commit,) = await log(found, "-1", tip)
    html = f"{site.repo_html(found)}/tree/{quote_path(name)}"
    protection = await branch_protections.find(found, name)
    guarded = {name: protection} if protection else {}
    return branch(name, shape(site, found, commit), guarded) | {
        "_links": {"self": branch_url(found, site, name), "html": html},
        "protection": protection.summary() if protection else branch_protections.UNPROTECTED,
        "protection_url": branch_protections.protection_url(site, found, name),
    }


def branch(name: str, commit: Json, guarded: Collection[str]) -> Json:
    """`{name, commit, protected}`; guarded: the protected ones."""
    short = name.removeprefix("refs/heads/")
    return {"name": short, "commit": commit, "protected": short in guarded}


def branch_url(repo: Repository, site: CurrentViewer, name: str) -> str:
    """The API address of a branch."""
    return f"{site.repo_api(repo)}/branches/{quote_path(name)}"
