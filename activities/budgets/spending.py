"""What one request to a model used, and its price."""

from decimal import Decimal

from activities.agent.conversation import SessionContext
from gateways.anthropic.conversation import Usage
from models import CostRate, UsageRecord
from models.agent.turn import TurnCost
from models.budgets.budget import MODEL_SERVICE, budget_ids
from models.budgets.usage import Tokens, price_usage, source_column


def build_spending(
    speaker: SessionContext,
    usage: Usage,
    rate: CostRate | None,
    source_id: str,
    sequence: int,
    *,
    counts_for_quota: bool,
) -> TurnCost:
    """source_id: what it was spent for; sequence: of the message under which it was reserved.

    counts_for_quota: see `ModelCall`; as it was when the call was made.
    """
    agent, tokens = speaker.agent, Tokens(**usage.model_dump())
    costs = price_usage(rate, tokens)
    names = {"run_id": speaker.run_id, **source_column(agent.job_id)}
    records = [
        UsageRecord(
            project_id=agent.project_id,
            service=MODEL_SERVICE,
            quantity=quantity,
            unit=unit,
            cost_usd=usd,
            run_id=names["run_id"],
            issue_session_id=names.get("issue_session_id"),
            sandbox_id=agent.sandbox_id,
            chain_id=speaker.chain_id,
            source_id=source_id,
        )
        for unit, (quantity, usd) in costs.items()
    ]
    return TurnCost(
        source_id,
        sequence,
        tokens,
        records,
        sum((usd for _, usd in costs.values()), Decimal(0)),
        budget_ids(agent.project_id, speaker.chain_id, agent.job_id, counts_for_quota=counts_for_quota),
    )
