"""`codecourier migrate`: bring the database's schema up to date."""

from pathlib import Path

import typer

from cli.console import out

CONFIG = Path(__file__).parent.parent / "migrations" / "alembic.ini"

command = typer.Typer()


def upgrade(database_url: str | None = None) -> None:
    """Run every migration that has not run; the address defaults to `DATABASE_URL`.

    Two that run at once do so one after the other.
    """
    # Imported here: they are slow to import, and most commands need none of them.
    from alembic import command as alembic
    from alembic.config import Config

    from kit.database import driver_url

    config = Config(CONFIG)
    if database_url is not None:
        config.attributes["url"] = driver_url(database_url)
    alembic.upgrade(config, "head")


@command.command()
def migrate() -> None:
    """Bring the schema of the database at DATABASE_URL up to date; do so before each new version starts."""
    upgrade()
    out.print("The database is up to date.")
