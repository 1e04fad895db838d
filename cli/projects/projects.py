"""`codecourier projects`: the projects of an installation."""

from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import DEFAULT_DATA, DataDirectory, fail
from cli.operators import GROUP_SETTINGS, SHOWN_ONCE_NOTICE, print_fields, print_rows, transact, validated

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

    from models.projects.project import Project

UNLIMITED, DEFAULT = QUOTA_WORDS = ("none", "default")
"""What an operator may say in place of a number."""

group = typer.Typer(
    name="projects",
    no_args_is_help=True,
    context_settings=GROUP_SETTINGS,
    help=(
        "Make and list projects, and say on which repositories each may work, on the database itself.\n\n"
        "A project is what an API key opens: everything in it is invisible to every other project's keys."
        " Uses the stack that runs in the data directory, or else **DATABASE_URL**."
    ),
)


@group.command()
def create(
    name: Annotated[str, typer.Argument(help="How people call the project.", show_default=False)],
    owner_email: Annotated[
        str, typer.Option("--owner-email", help="Address of the first owner.", metavar="EMAIL")
    ],
    slug: Annotated[
        str | None,
        typer.Option("--slug", help="Short name, unique here; made from NAME unless given.", metavar="SLUG"),
    ] = None,
    repo: Annotated[
        str | None,
        typer.Option(
            "--repo", help="The repository it works on: https://github.com/owner/name.", metavar="URL"
        ),
    ] = None,
    owner_name: Annotated[
        str | None, typer.Option("--owner-name", help="How the owner is called.", metavar="NAME")
    ] = None,
    owner_external_id: Annotated[
        str | None,
        typer.Option("--owner-external-id", help="The owner's id at Clerk: user_….", metavar="ID"),
    ] = None,
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Make a project, its first owner, and a key with every scope for that owner.

    The repository is allowed to it, as **projects allow** does.  The key's secret is printed once.  Example:

    **codecourier projects create "Web shop" --repo https://github.com/acme/shop --owner-email ada@acme.dev**
    """
    from cli.target import environment_of
    from gateways.github.client import parse_repository
    from kit.settings import Settings
    from models.projects.allowed_repository import allow_repository, repository_pattern
    from models.projects.provisioning import NewMember, NewProject, create_key, create_project
    from models.runs.run_start import slugify as slug_of

    owner = validated(NewMember, email=owner_email, name=owner_name, external_id=owner_external_id)
    new = validated(NewProject, name=name, slug=slug or slug_of(name), github_repo_url=repo, owner=owner)
    allowed = None
    if repo is not None:
        github = (
            environment_of(data.absolute()).get("GITHUB_URL") or Settings.model_fields["github_url"].default
        )
        try:
            allowed = repository_pattern(parse_repository(repo, github))
        except ValueError as error:
            fail(f"--repo: {error}")

    async def work(session: "AsyncSession") -> dict[str, str | None]:
        project, owner = await create_project(session, new)
        if allowed is not None:
            await allow_repository(session, project, allowed)
        _, key, secret = await create_key(session, project, owner.email, "First key")
        return {
            "Project": project.id,
            "Slug": project.slug,
            "Repository": project.github_repo_url,
            "Allowed": allowed,
            "Owner": f"{owner.name} <{owner.email}>",
            "Member": owner.id,
            "Key": key.id,
            "Secret": secret,
        }

    taken = "Choose another with --slug; codecourier projects list shows them all."
    print_fields(
        transact(data.absolute(), work, conflict=taken),
        SHOWN_ONCE_NOTICE,
        f"Next: codecourier members add --project {new.slug} --email …",
    )


@group.command("list")
def list_projects(data: DataDirectory = DEFAULT_DATA) -> None:
    """List the projects, oldest first: slug, id, name, owners, repository, allowed repositories.

    In a pipe each is one line, with tabs between the values.
    """
    from sqlmodel import col, select

    from models.projects.allowed_repository import AllowedRepository
    from models.projects.project import Member, Project, Role

    async def work(session: "AsyncSession") -> list[tuple[str, ...]]:
        there = select(Project).where(col(Project.deleted_at).is_(None)).order_by(col(Project.id))
        owning = select(Member).where(col(Member.role) == Role.owner, col(Member.removed_at).is_(None))
        owners: dict[str, list[str]] = {}
        for owner in await session.exec(owning.order_by(col(Member.id))):
            owners.setdefault(owner.project_id, []).append(owner.email)
        allowed: dict[str, list[str]] = {}
        for row in await session.exec(select(AllowedRepository).order_by(col(AllowedRepository.pattern))):
            allowed.setdefault(row.project_id, []).append(row.pattern)
        return [
            (
                each.slug,
                each.id,
                each.name,
                ", ".join(owners.get(each.id, [])),
                each.github_repo_url or "",
                ", ".join(allowed.get(each.id, [])),
            )
            for each in await session.exec(there)
        ]

    print_rows(("SLUG", "ID", "NAME", "OWNERS", "REPOSITORY", "ALLOWED"), transact(data.absolute(), work))


@group.command()
def allow(
    project: Annotated[str, typer.Argument(help="The project: its slug or its id.", show_default=False)],
    repository: Annotated[
        str,
        typer.Argument(
            help="owner/name, owner/* for all of an owner, or '*' for every one.", show_default=False
        ),
    ],
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Let a project work on a repository with the server's access to GitHub.

    A project with a GitHub key of its own needs no list.  Example:

    **codecourier projects allow web-shop acme/shop**
    """
    from models.projects.allowed_repository import allow_repository

    _change_list(data, project, repository, allow_repository, "It was allowed before.")


@group.command()
def disallow(
    project: Annotated[str, typer.Argument(help="The project: its slug or its id.", show_default=False)],
    repository: Annotated[
        str, typer.Argument(help="As codecourier projects list shows it.", show_default=False)
    ],
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Take a repository off a project's list: what is at work there fails with its next use of GitHub.

    Example:

    **codecourier projects disallow web-shop acme/shop**
    """
    from models.projects.allowed_repository import disallow_repository

    _change_list(data, project, repository, disallow_repository, "It was not on the list.")


@group.command()
def quota(
    project: Annotated[str, typer.Argument(help="The project: its slug or its id.", show_default=False)],
    model_usd: Annotated[
        str | None,
        typer.Option("--model-usd", help="What models may cost in a month, in US dollars.", metavar="USD"),
    ] = None,
    sandboxes: Annotated[
        str | None,
        typer.Option("--sandboxes", help="How many jobs may have a sandbox at work.", metavar="NUMBER"),
    ] = None,
    data: DataDirectory = DEFAULT_DATA,
) -> None:
    """Show or set how much of the server's own model and sandbox keys a project may use.

    **none** is no limit, **default** what the settings say.  Jobs beyond a limit wait, and say so; they
    notice a raised one within ten minutes.  What a project has a key of its own for has no limit here.
    Example:

    **codecourier projects quota web-shop --model-usd 50 --sandboxes 5**
    """
    from models.budgets.quota import (
        QuotaInput,
        QuotaKind,
        count_busy_jobs,
        load_operator_quotas,
        load_quota_spending,
        reset_quota,
        set_quota,
    )
    from models.projects.provisioning import find_project

    texts = {QuotaKind.model_usd: model_usd, QuotaKind.sandboxes: sandboxes}
    given = {kind: text for kind, text in texts.items() if text is not None}
    numbers = validated(QuotaInput, **{kind: text for kind, text in given.items() if text not in QUOTA_WORDS})

    async def work(session: "AsyncSession") -> dict[str, str | None]:
        found = await find_project(session, project)
        for kind, text in given.items():
            if text == DEFAULT:
                await reset_quota(session, found, kind)
            else:
                most = None if text == UNLIMITED else Decimal(getattr(numbers, kind))
                await set_quota(session, found, kind, most)
        own = await load_operator_quotas(session, found.id)
        limits = {
            kind: "as the settings say"
            if kind not in own
            else "none"
            if own[kind] is None
            else f"{own[kind]:f}"
            for kind in QuotaKind
        }
        spent, busy = await load_quota_spending(session, found.id), await count_busy_jobs(session, found.id)
        return {
            "Project": found.id,
            "Slug": found.slug,
            "Model": f"{spent:.2f} USD spent this month; limit: {limits[QuotaKind.model_usd]}",
            "Sandboxes": f"{busy} jobs have one at work; limit: {limits[QuotaKind.sandboxes]}",
        }

    print_fields(transact(data.absolute(), work))


def _change_list(
    data: Path,
    project: str,
    repository: str,
    change: "Callable[[AsyncSession, Project, str], Awaitable[bool]]",
    unchanged: str,
) -> None:
    """Change what is allowed to a project, and show it; unchanged: what is said if it was so before."""
    from models.projects.allowed_repository import list_allowed_repositories, repository_pattern
    from models.projects.provisioning import find_project

    try:
        pattern = repository_pattern(repository)
    except ValueError as error:
        fail(str(error))

    async def work(session: "AsyncSession") -> tuple[bool, dict[str, str | None]]:
        found = await find_project(session, project)
        is_changed = await change(session, found, pattern)
        await session.flush()
        allowed = ", ".join(await list_allowed_repositories(session, found))
        return is_changed, {"Project": found.id, "Slug": found.slug, "Allowed": allowed}

    is_changed, shown = transact(data.absolute(), work)
    print_fields(shown, *([] if is_changed else [unchanged]))
