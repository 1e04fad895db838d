"""The budget of a chain that is made: all its runs pay from it."""

from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from models.blueprints.blueprint import Blueprint
from models.budgets.budget import open_budget
from models.budgets.prices import require_prices
from models.chains.chain import Chain
from models.jobs.snapshot_builder import SnapshotBuilder
from models.projects.project import Project


async def open_chain_budget(
    session: AsyncSession, chain: Chain, blueprint: Blueprint, cap_usd: Decimal | None, default_model: str
) -> None:
    """Invalid where its workflow, as it is now, uses a model without a price under a cap."""
    if cap_usd is None:
        return
    shelf = SnapshotBuilder(session, await session.get_one(Project, chain.project_id))
    steps = [await shelf.build_step(index, step, default_model) for index, step in enumerate(blueprint.steps)]
    await require_prices(
        session, chain.project_id, [(step.label, step.model) for step in steps], cap_usd, "maxCostUsd"
    )
    await open_budget(session, chain.project_id, chain.id, cap_usd)
