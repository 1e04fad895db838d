"""What models cost the key's project."""

from typing import Annotated

from fastapi import Query, Request
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col

from api.after_commit import AfterCommitDep, DbSession
from api.auth import requires
from api.http.pagination import PageQuery
from api.http.responses import Item, ItemPage
from api.http.router import Router
from api.routes.budgets.caps import wake_sessions
from api.state import unit_of_work_of
from kit.ids import new_id
from models.base import now
from models.budgets.cost_rate_schemas import COST_RATES, CostRateRead, CostRateUpsert
from models.budgets.usage import CostRate
from models.budgets.wait import find_sessions_without_price
from models.projects.project import Role

router = Router("/cost-rates", "Cost Rates")


@router.get("/list", requires("projects:read"))
async def list_cost_rates(request: Request, window: Annotated[PageQuery, Query()]) -> ItemPage[CostRateRead]:
    """List what models cost the project, by the beginning of their name.

    These are the prices of the installation, and in place of some of them the project's own.
    """
    where = {"seen_by": unit_of_work_of(request).key.project_id}
    return ItemPage(COST_RATES, where, window, descending=False)


@router.post("/upsert", requires("projects:write", Role.admin))
async def upsert_cost_rate(
    body: CostRateUpsert, session: DbSession, workflows: AfterCommitDep, request: Request
) -> Item[CostRateRead]:
    """Set what the models of a family cost this project.

    A project's own prices count before those of the installation, whatever their prefix, for what is used
    from now on; other projects and what is recorded already keep theirs. What waits for a price goes on.
    """
    project_id = unit_of_work_of(request).key.project_id
    given = {**body.model_dump(exclude={"model_prefix"}), "updated_at": now()}
    row = {"id": new_id("rate"), "project_id": project_id, "model_prefix": body.model_prefix}
    statement = insert(CostRate).values(**row, **given)
    statement = statement.on_conflict_do_update(index_elements=["project_id", "model_prefix"], set_=given)
    rate_id = (await session.execute(statement.returning(col(CostRate.id)))).scalar_one()
    wake_sessions(workflows, await find_sessions_without_price(session, project_id))
    return Item(COST_RATES, {"project_id": project_id, "id": rate_id})
