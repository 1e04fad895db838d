"""`codecourier members`: who works in a project."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory
from cli.operators import GROUP_SETTINGS, ProjectOption, print_fields, transact, validated

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

group = typer.Typer(
    name="members",
    no_args_is_help=True,
    context_settings=GROUP_SETTINGS,
    help=(
        "Add members to projects, on the database itself.\n\n"
        "Roles: an **owner** may do everything, an **admin** everything but what is about owners and the"
        " project's deletion, a **member** reads, and starts and stops work."
    ),
)


@group.callback()
def _group() -> None:
    """A group also while it has one command."""


@group.command()
def add(
    project: ProjectOption,
    email: Annotated[str, typer.Option("--email", help="Address of the person.", metavar="EMAIL")],
    name: Annotated[
        str | None, typer.Option("--name", help="How the person is called.", metavar="NAME")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="owner, admin or member.", metavar="ROLE")] = "member",
    external_id: Annotated[
        str | None,
        typer.Option(
            "--external-id",
            help="The person's id at Clerk (user_…): deleted there, the member goes, too.",
            metavar="ID",
        ),
    ] = None,
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Add an accepted member to a project, with any role.

    A project that lost its last owner gets another one so.  Example:

    **codecourier members add --project web-shop --email bob@acme.dev --role admin**
    """
    from models.projects.provisioning import NewMember, add_member, find_project

    new = validated(NewMember, email=email, name=name, role=role, external_id=external_id)

    async def work(session: "AsyncSession") -> dict[str, str | None]:
        found = await find_project(session, project)
        member = await add_member(session, found, new)
        return {
            "Project": found.id,
            "Member": member.id,
            "Name": member.name,
            "Email": member.email,
            "Role": member.role.value,
        }

    key = f"codecourier keys create --project {project} --member {new.email}"
    print_fields(
        transact(data.absolute(), work, conflict=f"Make a key for the person: {key}"), f"Next: {key}"
    )
