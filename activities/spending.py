"""What a model's turn used and cost, counted towards step, run and project with the answer itself."""

from decimal import Decimal
from typing import NamedTuple

from psycopg import AsyncConnection
from psycopg.rows import TupleRow

from activities.conversations import Speaker
from gateways.conversation import Usage
from kit.direct import insert
from models import CostRate, UsageRecord
from models.base import now
from models.usage import Tokens, cost


class Spending(NamedTuple):
    """What one turn used, and its price."""

    tokens: Tokens
    total: Decimal
    """USD."""
    rows: list[UsageRecord]
    """Without what they are for."""


def spending(usage: Usage, rate: CostRate | None) -> Spending:
    tokens = Tokens(**usage.model_dump())
    used = cost(rate, tokens)
    rows = [
        UsageRecord(
            project_id="", service="anthropic", quantity=quantity, unit=unit, cost_usd=usd, source_id=""
        )
        for unit, (quantity, usd) in used.items()
    ]
    return Spending(tokens, sum((usd for _, usd in used.values()), Decimal(0)), rows)


class Counted(NamedTuple):
    cost_usd: float
    """Of the whole run so far."""
    event_seq: int
    """Of the last of the events for which room was made."""


_RUN = b"""
    UPDATE run SET cost_usd = cost_usd + %(cost)s, input_tokens = input_tokens + %(input)s,
        output_tokens = output_tokens + %(output)s, cache_read_tokens = cache_read_tokens + %(cache_read)s,
        cache_write_tokens = cache_write_tokens + %(cache_write)s, event_seq = event_seq + %(events)s,
        quality_score = coalesce(%(score)s, quality_score),
        current_step_progress = coalesce(%(progress)s, current_step_progress),
        last_progress_at = %(now)s, waiting = NULL
    WHERE id = %(run)s RETURNING cost_usd::float8, event_seq
"""
_STEP = b"""
    UPDATE run_step SET cost_usd = cost_usd + %(cost)s, input_tokens = input_tokens + %(input)s,
        output_tokens = output_tokens + %(output)s, cache_read_tokens = cache_read_tokens + %(cache_read)s,
        cache_write_tokens = cache_write_tokens + %(cache_write)s
    WHERE id = %(step)s
"""


async def count(
    connection: AsyncConnection[TupleRow],
    speaker: Speaker,
    spent: Spending,
    source_id: str,
    events: int,
    progress: str | None = None,
    score: float | None = None,
) -> Counted:
    """Count what a turn used towards step, run and project, and make room for so many events of the run.

    The run's row is held from here to the commit, so its events have no gaps.
    """
    agent, tokens = speaker.agent, spent.tokens
    written = tokens.cache_write_5m + tokens.cache_write_1h
    values = {
        "run": agent.run_id, "step": agent.step_id, "cost": spent.total, "input": tokens.input,
        "output": tokens.output, "cache_read": tokens.cache_read, "cache_write": written, "events": events,
        "score": score, "progress": progress, "now": now(),
    }  # fmt: skip
    found = await (await connection.execute(_RUN, values)).fetchone()
    assert found, "a run's row outlives its sessions"
    await connection.execute(_STEP, values)
    for row in spent.rows:
        row.project_id, row.source_id = agent.project_id, source_id
        row.run_id, row.sandbox_id, row.chain_id = agent.run_id, agent.sandbox_id, speaker.chain_id
    await insert(connection, spent.rows)
    return Counted(*found)
