"""`codecourier migrate`: bring the database's schema up to date."""

from pathlib import Path

import typer
from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config

from cli.console import out
from kit.database import driver_url

CONFIG = Path(__file__).parent.parent / "migrations" / "alembic.ini"

command = typer.Typer()


def upgrade(database_url: str | None = None) -> None:
    """Run every migration that has not run; the address defaults to `DATABASE_URL`.

    Two that run at once do so one after the other.
    """
    config = Config(CONFIG)
    if database_url is not None:
        config.attributes["url"] = driver_url(database_url)
    alembic_upgrade(config, "head")


@command.command()
def migrate() -> None:
    """Bring the schema of the database at DATABASE_URL up to date; do so before each new version starts."""
    upgrade()
    out.print("The database is up to date.")
