"""How many assets a project may have: every run starts with the list of its commands."""

from sqlalchemy import func, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Conflict
from models.assets.asset import Asset, AssetKind

MAX_ASSETS_PER_KIND = 1_000
"""Of each kind; requests at the same moment may go beyond it by a few."""


async def require_capacity(session: AsyncSession, project_id: str, kind: AssetKind) -> None:
    """Conflict when the project has as many of this kind as there may be."""
    statement = select(func.count()).where(
        col(Asset.project_id) == project_id, col(Asset.kind) == kind, col(Asset.deleted_at).is_(None)
    )
    if (await session.execute(statement)).scalar_one() >= MAX_ASSETS_PER_KIND:
        raise Conflict(f"The project has {MAX_ASSETS_PER_KIND} {kind}s, which is the most: delete one first.")
