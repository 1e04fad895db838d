"""What the operators' commands share: the database itself, names for it, and how results are shown."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.table import Table
from rich.text import Text

from cli.console import err, fail, out
from kit.tenancy import DatabaseRole
from local.stack.process import StartError

if TYPE_CHECKING:
    from sqlmodel.ext.asyncio.session import AsyncSession

T = TypeVar("T")
GROUP_SETTINGS = {"help_option_names": ["-h", "--help"]}
ProjectOption = Annotated[
    str, typer.Option("--project", "-p", help="The project: its slug or its id.", metavar="SLUG")
]
SHOWN_ONCE_NOTICE = "Keep the secret: only its hash is stored, and it is never shown again."


def transact(
    directory: Path,
    work: "Callable[[AsyncSession], Awaitable[T]]",
    *,
    conflict: str = "",
    missing_member: str = "",
) -> T:
    """What `work` returns, in one transaction on the installation's database; leaves with words if it fails.

    conflict, missing_member: what to do when that is why.
    """
    # Imported here: they are slow to import, and most commands need none of them.
    from sqlalchemy.exc import IntegrityError, ProgrammingError, SQLAlchemyError

    from cli.target import environment_of
    from kit.database import Database, driver_url
    from kit.errors import AppError, Conflict
    from models.projects.provisioning import MemberNotFound, ProjectNotFound

    async def run(url: str) -> T:
        database = Database(driver_url(url), role=DatabaseRole.worker, pool_size=1)
        try:
            async with database.transaction() as session:
                return await work(session)
        finally:
            await database.close()

    try:
        url = environment_of(directory).get("DATABASE_URL")
        if not url:
            fail(f"No stack runs in {directory}, and DATABASE_URL is not set: set it, or run codecourier up.")
        return asyncio.run(run(url))
    except Conflict as error:
        fail(f"{error}\n{conflict}".rstrip())
    except MemberNotFound as error:
        fail(f"{error}\n{missing_member}".rstrip())
    except ProjectNotFound as error:
        fail(f"{error}\nList them: codecourier projects list")
    except (StartError, AppError) as error:
        fail(str(error))
    except IntegrityError:
        fail("Somebody made the same a moment ago; look again: codecourier projects list")
    except ProgrammingError:
        fail("The database's schema is not this program's: run codecourier migrate.")
    except (SQLAlchemyError, OSError) as error:
        if f'role "{DatabaseRole.worker}"' in str(error):  # nothing else tells, while signing in
            fail(
                f"DATABASE_URL's user may not take on the role {DatabaseRole.worker}, or there is none yet:"
                " sign in as a member of it (in compose: docker compose exec worker codecourier …), or run"
                " codecourier migrate first."
            )
        cause = type(getattr(error, "orig", None) or error).__name__
        fail(f"The database cannot be reached ({cause}): start it, or correct DATABASE_URL.")


def validated(model: "Callable[..., T]", **fields: object) -> T:
    """The fields as a model of the API; leaves with words that name the option that does not fit."""
    from pydantic import ValidationError

    try:
        return model(**fields)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
        fail("\n".join(faults))


def print_fields(fields: Mapping[str, str | None], *hints: str) -> None:
    """One thing: a line a field.  What to do next goes to people, not into pipes."""
    for name, value in fields.items():
        out.print(Text.assemble((f"{name:<12}", "dim"), (value or "–", "bold" if name == "Secret" else "")))
    for hint in hints:
        err.print(Text(hint, style="dim"))


def print_rows(names: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Many things: a table on a terminal, one line of tab-separated values each in a pipe."""
    if not out.is_terminal:
        for row in rows:
            typer.echo("\t".join(row))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in names:
        table.add_column(name)
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    out.print(table)
