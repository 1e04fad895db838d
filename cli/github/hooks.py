"""`codecourier hooks`: where GitHub tells of a project's repositories."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, fail
from cli.operators import GROUP_SETTINGS, ProjectOption, print_fields, print_rows, transact, validated

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from kit.crypto import Vault
    from models.github.hook import GithubHook

SHOWN_ONCE_NOTICE = "Keep the secret until it is on GitHub: it is never shown again."
GITHUB_NOTICE = "On GitHub: this server with that path is the payload URL, the content type application/json."
HookArgument = Annotated[
    str, typer.Argument(help="The hook's id: ghk_….", metavar="HOOK", show_default=False)
]

group = typer.Typer(
    name="hooks",
    no_args_is_help=True,
    context_settings=GROUP_SETTINGS,
    help=(
        "Make hooks for GitHub's webhooks, on the database itself.\n\n"
        "What comes in by a hook touches the rows of its project only. Secrets are sealed with the keys of"
        " the stack that runs in the data directory, or else with **ENCRYPTION_KEYS**."
    ),
)


@group.command()
def create(
    project: ProjectOption,
    description: Annotated[
        str | None, typer.Option("--description", help="What it is for.", metavar="WORDS")
    ] = None,
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Make a hook for a project; its secret is printed once.  Example:

    **codecourier hooks create --project web-shop --description acme/shop**
    """
    from models.github.hook import create_hook
    from models.github.hook_schemas import GithubHookCreate
    from models.projects.provisioning import find_project

    validated(GithubHookCreate, description=description)

    async def make(session: "AsyncSession", sealed: str) -> "GithubHook":
        found = await find_project(session, project)
        return await create_hook(session, found.id, description, sealed)

    _print_secret(data, make)


@group.command("list")
def list_hooks(project: ProjectOption, data: DataDirectory = DEFAULT_DATA) -> None:
    """List the hooks of a project, oldest first: id, path, description."""
    from sqlmodel import col, select

    from models.github.hook import GithubHook
    from models.github.hook_schemas import PATH
    from models.projects.provisioning import find_project

    async def work(session: "AsyncSession") -> list[tuple[str, ...]]:
        found = await find_project(session, project)
        there = select(GithubHook).where(col(GithubHook.project_id) == found.id).order_by(col(GithubHook.id))
        return [(each.id, f"{PATH}{each.id}", each.description or "") for each in await session.exec(there)]

    print_rows(("ID", "PATH", "DESCRIPTION"), transact(data.absolute(), work))


@group.command()
def rotate(hook: HookArgument, data: DataDirectory = DEFAULT_DATA) -> None:
    """Replace the secret of a hook; the old one is taken for 24 hours more."""
    from models.github.hook import find_hook

    async def replace(session: "AsyncSession", sealed: str) -> "GithubHook":
        found = await find_hook(session, hook)
        found.rotate(sealed)
        return found

    _print_secret(data, replace)


@group.command()
def delete(hook: HookArgument, data: DataDirectory = DEFAULT_DATA) -> None:
    """Delete a hook: what it is told from now on is refused."""
    from models.github.hook import find_hook

    async def work(session: "AsyncSession") -> str:
        found = await find_hook(session, hook)
        await session.delete(found)
        return found.id

    print_fields({"Deleted": transact(data.absolute(), work)})


def _print_secret(data: DataDirectory, act: "Callable[[AsyncSession, str], Awaitable[GithubHook]]") -> None:
    """Show a hook to which `act` gives a new secret."""
    from models.github.hook import new_hook_secret
    from models.github.hook_schemas import PATH

    vault, secret = _vault(data), new_hook_secret()

    async def work(session: "AsyncSession") -> dict[str, str | None]:
        hook = await act(session, vault.seal(secret))
        return {"Hook": hook.id, "Project": hook.project_id, "Path": f"{PATH}{hook.id}", "Secret": secret}

    print_fields(transact(data.absolute(), work), SHOWN_ONCE_NOTICE, GITHUB_NOTICE)


def _vault(data: DataDirectory) -> "Vault":
    from cli.target import environment_of
    from kit.crypto import Vault
    from local.stack.process import StartError

    try:
        keys = environment_of(data.absolute()).get("ENCRYPTION_KEYS")
    except StartError as error:
        fail(str(error))
    if not keys:
        fail("ENCRYPTION_KEYS is not set: set it to that of the API, which opens what is sealed here.")
    try:
        return Vault(keys)
    except ValueError:
        fail("ENCRYPTION_KEYS: comma-separated Fernet keys, as the API has them.")
