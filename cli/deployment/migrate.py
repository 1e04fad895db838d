"""`codecourier migrate`: bring the database's schema up to date."""

from collections.abc import Mapping
from pathlib import Path

import typer

from cli.console import out
from kit.tenancy import DatabaseRole

ALEMBIC_CONFIG = Path(__file__).parents[2] / "migrations" / "alembic.ini"

command = typer.Typer()


def upgrade(database_url: str, passwords: Mapping[DatabaseRole, str] | None = None) -> None:
    """Run every migration that has not run; two that run at once do so one after the other.

    passwords: with which the API and the workers may sign in as their own roles from then on.
    """
    # Imported here: they are slow to import, and most commands need none of them.
    from alembic import command as alembic
    from alembic.config import Config

    from kit.database import driver_url

    config = Config(ALEMBIC_CONFIG)
    config.attributes["url"] = driver_url(database_url)
    alembic.upgrade(config, "head")
    if passwords:
        set_role_passwords(database_url, passwords)


def set_role_passwords(database_url: str, passwords: Mapping[DatabaseRole, str]) -> None:
    """Set the passwords of these roles; the server is told what it verifies them by, and no password."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(database_url, autocommit=True) as connection:
        for role, password in passwords.items():
            verifier = connection.pgconn.encrypt_password(password.encode(), role.encode(), b"scram-sha-256")
            change = sql.SQL("ALTER ROLE {} LOGIN PASSWORD {}")
            connection.execute(change.format(sql.Identifier(role), verifier.decode()))


@command.command()
def migrate() -> None:
    """Bring the schema of the database at DATABASE_URL up to date; do so before each new version starts.

    DATABASE_URL names the owner of the tables here. With DATABASE_API_PASSWORD and DATABASE_WORKER_PASSWORD,
    the API and the workers can sign in as codecourier_api and codecourier_worker, which own nothing.
    """
    from kit.settings import settings

    given = settings()
    named = {
        DatabaseRole.api: given.database_api_password,
        DatabaseRole.worker: given.database_worker_password,
    }
    passwords = {role: password.get_secret_value() for role, password in named.items() if password}
    upgrade(str(given.database_url), passwords)
    out.print("The database is up to date.")
