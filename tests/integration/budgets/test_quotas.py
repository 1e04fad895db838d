"""Quotas of the server's keys on the real parts: jobs beyond them wait visibly, and go on."""

import asyncio
from decimal import Decimal

import pytest

from models import Project, Run
from models.budgets.budget import MODEL_SERVICE
from models.budgets.quota import QuotaKind, set_quota
from models.event import EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import broken_invariants, outcome_of
from tests.support.scenarios import bash, finish, register_scenario, with_delay

SLOW = register_scenario("quota-slow", with_delay(bash("echo work > work.txt"), 3), finish("Wrote work.txt."))


async def limited(site: Installation, kind: QuotaKind, most: int) -> Project:
    project = await site.project()
    async with site.database.transaction() as session:
        await set_quota(session, project, kind, Decimal(most))
    return project


async def waits_for(site: Installation, run: Run, words: str) -> None:
    async def is_waiting() -> bool:
        waiting = (await site.read(run)).waiting or {}
        return waiting.get("code") == "PROVIDER_LIMIT" and words in str(waiting.get("message"))

    await wait_until(is_waiting, f"run {run.id} waits: {words}")


@pytest.fixture
async def two(site: Installation) -> list[Run]:
    """Two runs of a project that may have one job with a sandbox at work."""
    project = await limited(site, QuotaKind.sandboxes, 1)
    first = await site.start(f"Work {SLOW}", project=project)
    await site.until(first, EventType.sandbox_creating)
    return [first, await site.start(f"Work {SLOW}", project=project)]


async def test_a_run_waits_until_another_ones_sandbox_is_gone(site: Installation, two: list[Run]) -> None:
    await waits_for(site, two[1], "1 jobs of the project may have a sandbox at work")
    outcomes = await asyncio.gather(*(outcome_of(site, run) for run in two))
    assert [outcome.run.status for outcome in outcomes] == [RunStatus.completed] * 2
    [first, second] = outcomes
    assert second.sandboxes[0].started_at is not None
    assert first.sandboxes[0].killed_at is not None
    assert second.sandboxes[0].started_at >= first.sandboxes[0].killed_at
    assert [list(broken_invariants(outcome)) for outcome in outcomes] == [[], []]


async def test_a_run_beyond_the_model_quota_waits_and_can_be_cancelled(site: Installation) -> None:
    project = await limited(site, QuotaKind.model_usd, 0)
    run = await site.start(f"Work {SLOW}", project=project)
    await waits_for(site, run, "0.00 of the 0.00 USD that it may spend with the server's model key")
    await site.handle(run).cancel()
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.cancelled
    assert MODEL_SERVICE not in {record.service for record in outcome.usage}
