"""A model without a price is refused where a cap applies: nobody could tell when the cap is reached."""

from collections.abc import Iterable
from decimal import Decimal

from sqlmodel.ext.asyncio.session import AsyncSession

from kit.errors import Invalid
from models.budgets.budget import get_cap
from models.budgets.usage import find_cost_rate


async def require_prices(
    session: AsyncSession,
    project_id: str,
    models: Iterable[tuple[str, str]],
    cap_usd: Decimal | None,
    field: str | None,
) -> None:
    """Invalid, with the step, for a model without a price under a cap of its job or chain, or the project's.

    models: the labels of steps with their models; field: of the request, that the refusal names.
    """
    if cap_usd is None and await get_cap(session, project_id) is None:
        return
    whose = "the project's cap" if cap_usd is None else "maxCostUsd"
    for index, (label, model) in enumerate(models):
        if await find_cost_rate(session, model, project_id) is None:
            raise Invalid(
                f"Step {index} ({label}) uses the model {model}, which has no price, so that {whose} cannot "
                "be kept: set one with POST /api/v1/cost-rates/upsert, choose another model, or set no cap.",
                field=field,
            )
