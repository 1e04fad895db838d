"""The reconciler's sweeps in a few words, for commands that show how an installation is."""

import asyncio
from pathlib import Path

from rich.text import Text

from cli.console import STYLES, out
from kit.tenancy import DatabaseRole


def print_sweeps(directory: Path) -> None:
    """When what was accepted was last started, and when all was last looked at."""
    # Imported here: they are slow to import.
    from sqlalchemy.exc import SQLAlchemyError

    from cli.target import settings_of
    from kit.database import Database
    from models.reconcile.installation import get_installation
    from models.reconcile.sweep import load_sweeps
    from models.reconcile.sweep_summary import SweepSummary, summarize_sweeps

    async def read() -> list[SweepSummary]:
        database = Database(settings_of(directory).sqlalchemy_url, role=DatabaseRole.worker, pool_size=1)
        try:
            async with database.read_only() as session:
                return summarize_sweeps(await get_installation(session), await load_sweeps(session))
        finally:
            await database.close()

    try:
        lines = asyncio.run(read())
    except SQLAlchemyError:
        out.print(Text("sweeps     unknown: the database cannot be read", style=STYLES["wrong"]))
        return
    for line in lines:
        out.print(Text(f"{line.name:<10} {line.text}", style=STYLES["ok" if line.is_good else "wrong"]))
