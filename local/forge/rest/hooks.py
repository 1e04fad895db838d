"""Webhooks of a repository."""

from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field, StringConstraints, field_validator

from local.forge.errors import Invalid
from local.forge.git import commits, refs
from local.forge.rest.body import Body
from local.forge.rest.dependencies import CurrentLogin, CurrentViewer, PositiveId, WritableRepository
from local.forge.rest.pagination import Page
from local.forge.store.repositories import Repository
from local.forge.viewer import Json
from local.forge.viewer import Viewer as SiteHere
from local.forge.webhooks import events, hooks
from local.forge.webhooks.events import Event
from local.forge.webhooks.hooks import Hook, HookSettings
from local.forge.webhooks.hooks import HookConfig as Config

router = APIRouter(prefix="/repos/{owner}/{repo}/hooks")
EventName = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z_]{1,64})$")]


class HookConfig(Body):
    """insecure_ssl: GitHub takes a number or its text."""

    url: str = Field(pattern=r"^https?://[^\s/]")
    content_type: Literal["json", "form"] = "form"
    secret: str | None = None
    insecure_ssl: Literal["0", "1"] = "0"

    @field_validator("insecure_ssl", mode="before")
    @classmethod
    def as_text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) else value

    def kept(self) -> Config:
        config = {"url": self.url, "content_type": self.content_type, "insecure_ssl": self.insecure_ssl}
        return config | ({"secret": self.secret} if self.secret else {})


class CreateHook(Body):
    name: Literal["web"] = "web"
    config: HookConfig
    events: list[EventName] = Field(["push"])
    active: bool = True


class EditHook(Body):
    """`config` replaces the whole of it, the secret included; `events` are replaced, added to, taken from."""

    config: HookConfig | None = None
    events: list[EventName] | None = None
    add_events: list[EventName] = Field([])
    remove_events: list[EventName] = Field([])
    active: bool | None = None


@router.get("")
async def list_hooks(found: WritableRepository, site: CurrentViewer, page: Page) -> list[Json]:
    return await hook_shapes(site, found, page.cut(await hooks.of_repository(found)))


@router.post("", status_code=201)
async def create_hook(
    body: CreateHook, found: WritableRepository, site: CurrentViewer, login: CurrentLogin, response: Response
) -> Json:
    if not body.events:
        raise Invalid.field("Hook", "events", "missing_field")
    wish = HookSettings(body.config.kept(), sorted(set(body.events)), body.active)
    (whole,) = await hook_shapes(site, found, [await hooks.add(found, wish, login)])
    response.headers["Location"] = str(whole["url"])
    return whole


@router.get("/{key}")
async def one_hook(key: PositiveId, found: WritableRepository, site: CurrentViewer) -> Json:
    (whole,) = await hook_shapes(site, found, [await hooks.get(found, key)])
    return whole


@router.patch("/{key}")
async def edit_hook(key: PositiveId, body: EditHook, found: WritableRepository, site: CurrentViewer) -> Json:
    hook = await hooks.get(found, key)
    wanted = set(hook.events if body.events is None else body.events)
    wish = HookSettings(
        body.config.kept() if body.config else hook.config,
        sorted((wanted | set(body.add_events)) - set(body.remove_events)),
        hook.active if body.active is None else body.active,
    )
    (whole,) = await hook_shapes(site, found, [await hooks.edit(found, hook, wish)])
    return whole


@router.delete("/{key}", status_code=204)
async def delete_hook(key: PositiveId, found: WritableRepository) -> None:
    await hooks.remove(found, key)


@router.post("/{key}/pings", status_code=204)
async def ping_hook(key: PositiveId, found: WritableRepository, login: CurrentLogin) -> None:
    hook = await hooks.get(found, key)
    await found.db.transaction(lambda connection: hooks.enqueue_ping(connection, hook, login))


@router.post("/{key}/tests", status_code=204)
@router.post("/{key}/test", status_code=204, include_in_schema=False)
async def test_hook(key: PositiveId, found: WritableRepository, login: CurrentLogin) -> None:
    """The latest push once more, for a hook that wants pushes."""
    hook = await hooks.get(found, key)
    (tip,) = await refs.branch_tips(found.git, found.default_branch)
    if tip is None or not {"*", "push"} & set(hook.events):
        return
    (commit,) = await commits.log(found, "-1", tip)
    before = commit.parents[0] if commit.parents else refs.ZERO_SHA
    facts = {"ref": f"refs/heads/{found.default_branch}", "before": before, "after": tip}
    event = Event("push", None, login, facts)
    await found.db.transaction(
        lambda connection: events.enqueue_delivery(connection, hook.id, found.id, event, events.new_guid())
    )


async def hook_shapes(site: SiteHere, repo: Repository, listed: list[Hook]) -> list[Json]:
    """Each hook with how its newest delivery went."""
    last = await hooks.last_deliveries(repo.db, listed)
    return [hook.shape(site, repo, last.get(hook.id)) for hook in listed]
