"""Prices on the wire."""

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic.config import JsonDict

from kit.schemas import Body, Read, UsdAmount, UtcTimestamp, require_number
from models.budgets.usage import CostRate
from models.json_view import JsonView, example

_RATE = "rate_0198f2c3b1c27d3e8f4a5b6c7d8e9f0a"
_PRICES: JsonDict = {
    "modelPrefix": "claude-sonnet",
    "input": 3.0,
    "cacheWrite5m": 3.75,
    "cacheWrite1h": 6.0,
    "cacheRead": 0.3,
    "output": 15.0,
}


Price = Annotated[
    Decimal,
    BeforeValidator(require_number),
    Field(ge=0, le=1_000_000, decimal_places=8, allow_inf_nan=False),
    PlainSerializer(float, return_type=float, when_used="json"),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1_000_000}),
]
"""US dollars a million tokens, to eight decimal places."""


class CostRateRead(Read):
    """What the models of a family cost, in US dollars a million tokens."""

    model_config = example(
        id=_RATE, _id=_RATE, **_PRICES, isDefault=True, updatedAt="2026-01-15T10:00:00.000Z"
    )
    model_prefix: str
    """How the names of the models begin; of several rates that fit, the longest prefix counts."""
    input: UsdAmount
    """Of tokens that the model reads and that are not in its prompt cache."""
    cache_write_5m: Annotated[UsdAmount, Field(alias="cacheWrite5m")]
    """Of tokens that are written into the prompt cache for five minutes."""
    cache_write_1h: Annotated[UsdAmount, Field(alias="cacheWrite1h")]
    """Of tokens that are written into the prompt cache for an hour."""
    cache_read: UsdAmount
    """Of tokens that are read from the prompt cache."""
    output: UsdAmount
    """Of tokens that the model writes."""
    is_default: bool
    """Whether this is the installation's price, which counts until the project has one of its own."""
    updated_at: UtcTimestamp
    """When the price was last changed."""


class CostRateUpsert(Body):
    """All prices of a model family, in US dollars a million tokens."""

    model_config = example(**_PRICES)
    model_prefix: Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9._:/@-]+$")]
    """How the names of the models begin, for example `claude-sonnet`."""
    input: Price
    """Of tokens that the model reads and that are not in its prompt cache."""
    cache_write_5m: Annotated[Price, Field(alias="cacheWrite5m")]
    """Of tokens that are written into the prompt cache for five minutes."""
    cache_write_1h: Annotated[Price, Field(alias="cacheWrite1h")]
    """Of tokens that are written into the prompt cache for an hour."""
    cache_read: Price
    """Of tokens that are read from the prompt cache."""
    output: Price
    """Of tokens that the model writes."""


COST_RATES = JsonView(
    CostRateRead,
    CostRate,
    "Cost rate",
    keys=("model_prefix",),
    shown={"is_default": "cost_rate.project_id IS NULL"},
    where={
        "seen_by": "(cost_rate.project_id = %(seen_by)s OR cost_rate.project_id IS NULL AND NOT EXISTS ("
        "SELECT FROM cost_rate AS own WHERE own.project_id = %(seen_by)s"
        " AND own.model_prefix = cost_rate.model_prefix))"
    },
)
"""Lists show the project's own prices, and those of the installation in whose place it has none."""
