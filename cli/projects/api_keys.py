"""`codecourier keys`: API keys."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, fail
from cli.operators import GROUP_SETTINGS, SHOWN_ONCE_NOTICE, ProjectOption, print_fields, transact

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

group = typer.Typer(
    name="keys",
    no_args_is_help=True,
    context_settings=GROUP_SETTINGS,
    help=(
        "Make API keys, on the database itself.\n\n"
        "A key belongs to a member of one project, and does what its scopes and the member's role allow."
    ),
)


@group.callback()
def _group() -> None:
    """A group also while it has one command."""


@group.command()
def create(
    project: ProjectOption,
    member: Annotated[str, typer.Option("--member", help="Address of the member.", metavar="EMAIL")],
    name: Annotated[
        str, typer.Option("--name", help="What the key is for.", metavar="NAME")
    ] = "Made by an operator",
    scope: Annotated[
        list[str] | None,
        typer.Option("--scope", help="A scope, such as runs:write; repeat it.  All of them unless given."),
    ] = None,
    expires_in: Annotated[
        int | None,
        typer.Option("--expires-in", min=1, max=3650, help="Days it is valid for.", metavar="DAYS"),
    ] = None,
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Make a key for a member; its secret is printed once.

    A member who is only invited has joined with it.  Example:

    **codecourier keys create --project web-shop --member bob@acme.dev --scope runs:read --scope runs:write**
    """
    from models.base import now
    from models.projects.api_key import SCOPES
    from models.projects.provisioning import create_key, find_project

    if unknown := [each for each in scope or [] if each not in SCOPES]:
        fail(f"--scope: there is no {', '.join(unknown)}.  There are: {', '.join(SCOPES)}.")
    if not name.strip() or len(name) > 200:
        fail("--name: give 1 to 200 characters.")
    expires_at = now() + timedelta(days=expires_in) if expires_in else None

    async def work(session: "AsyncSession") -> dict[str, str | None]:
        found = await find_project(session, project)
        owner, key, secret = await create_key(session, found, member, name, scope or None, expires_at)
        return {
            "Project": found.id,
            "Member": f"{owner.name} <{owner.email}>",
            "Role": owner.role.value,
            "Key": key.id,
            "Scopes": " ".join(key.scopes),
            "Expires": expires_at.isoformat(timespec="seconds") if expires_at else "never",
            "Secret": secret,
        }

    add = f"Add the person: codecourier members add --project {project} --email {member}"
    print_fields(transact(data.absolute(), work, missing_member=add), SHOWN_ONCE_NOTICE)
