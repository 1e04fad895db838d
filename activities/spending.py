"""What one turn of an agent used, and its price; past the ORM (ADR 7), as every turn has some."""

from dataclasses import dataclass
from decimal import Decimal

from activities.conversations import Speaker
from gateways.conversation import Usage
from kit.ids import new_id
from models import CostRate
from models.base import JsonObject, now
from models.usage import Tokens, attribution, cost


@dataclass(frozen=True)
class Spending:
    """What one turn used, and its price in USD."""

    source_id: str
    tokens: Tokens
    rows: list[JsonObject]
    """One a unit that was used."""
    total: Decimal

    @classmethod
    def of(cls, speaker: Speaker, usage: Usage, rate: CostRate | None, source_id: str) -> "Spending":
        agent, tokens = speaker.agent, Tokens(**usage.model_dump())
        costs = cost(rate, tokens)
        total = sum((usd for _, usd in costs.values()), Decimal(0))
        moment = now()
        turn: JsonObject = {
            "project_id": agent.project_id, "created_at": moment, "service": "anthropic",
            "date": moment.date(), "sandbox_id": agent.sandbox_id, "chain_id": speaker.chain_id,
            "source_id": source_id, **attribution(agent.job_id),
        }  # fmt: skip
        rows = [
            {**turn, "id": new_id("use"), "quantity": quantity, "unit": unit, "cost_usd": str(usd)}
            for unit, (quantity, usd) in costs.items()
        ]
        return cls(source_id, tokens, rows, total)
