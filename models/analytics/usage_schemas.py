"""Usage records on the wire, and what they come to."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field
from pydantic.config import JsonDict

from kit.schemas import Page, Read, UsdAmount, UtcTimestamp, Wire
from models.budgets.usage import UsageRecord, UsageUnit
from models.json_timeline import Timeline
from models.json_view import example

USE = "use_0198f2c6b1c27d3e8f4a5b6c7d8e9f0a"
RUN = "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d"
_RECORD: JsonDict = {
    "id": USE,
    "_id": USE,
    "service": "anthropic",
    "date": "2026-01-15",
    "quantity": 5120,
    "unit": "input_tokens",
    "costUsd": 0.01536,
    "runId": RUN,
    "sandboxId": None,
    "chainId": None,
    "issueSessionId": None,
    "createdAt": "2026-01-15T10:05:12.345Z",
}
_GROUP: JsonDict = {
    "key": "2026-01-15",
    "records": 120,
    "costUsd": 1.25,
    "quantities": {"input_tokens": 512_000, "output_tokens": 48_000, "sandbox_seconds": 3600},
}


class UsageRead(Read):
    """How much of one unit a piece of work used, and what it cost."""

    model_config = example(**_RECORD)
    service: str
    """Who provided it: `anthropic`, `e2b`, …"""
    date: str
    """The day on which it was used, in UTC."""
    quantity: int
    """How many of the unit."""
    unit: UsageUnit
    """What is counted."""
    cost_usd: UsdAmount
    """What it cost in US dollars, by the price of that day."""
    run_id: str | None
    """The run that used it."""
    sandbox_id: str | None
    """The sandbox whose seconds these are."""
    chain_id: str | None
    """The chain of the run."""
    issue_session_id: str | None
    """The issue session that used it."""
    created_at: UtcTimestamp
    """When it was used."""


class UsageGrouping(StrEnum):
    """What usage records are added up by: the day in the zone asked for, the service, or the unit."""

    day = "day"
    service = "service"
    unit = "unit"


class UsageGroup(Wire):
    """What the records of one day, service or unit come to."""

    key: str
    """The day (`YYYY-MM-DD`), the service or the unit."""
    records: int
    """How many records there are."""
    cost_usd: UsdAmount
    """What they cost in US dollars."""
    quantities: dict[str, int]
    """How many of each unit were used."""


class UsageSummary(Wire):
    """What all records that fit the filters come to, also those on other pages."""

    group_by: UsageGrouping
    """What the groups are of."""
    records: int
    """How many records there are."""
    cost_usd: UsdAmount
    """What they cost in US dollars."""
    groups: list[UsageGroup]
    """By day in the order of the days, those without usage included; else the most expensive first."""


class UsagePage(Page[UsageRead]):
    """One page of usage records, newest first, and with `groupBy` what all of them come to."""

    model_config = example(
        data=[_RECORD],
        nextCursor=None,
        hasMore=False,
        summary={"groupBy": "day", "records": 120, "costUsd": 1.25, "groups": [_GROUP]},
    )
    summary: Annotated[UsageSummary | None, Field(description="Null without `groupBy`.")] = None


USAGE = Timeline(
    UsageRead,
    UsageRecord,
    "Usage record",
    keys=("created_at", "id"),
    shown={"date": "to_char(usage_record.date, 'YYYY-MM-DD')"},
    where={
        "since": "usage_record.created_at >= %(since)s::timestamptz",
        "until": "usage_record.created_at < %(until)s::timestamptz",
    },
)
