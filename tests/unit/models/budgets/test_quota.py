"""Quotas of the server's keys, as rows: what operators set, what was spent, and whose turn a sandbox is."""

import datetime as dt
from decimal import Decimal

import pytest
from pydantic import ValidationError

from kit.database import Database
from models import CostRate, Project, Sandbox
from models.budgets.budget import lock_budgets, quota_budget_id
from models.budgets.quota import (
    Quota,
    QuotaInput,
    QuotaKind,
    count_busy_jobs,
    count_jobs_ahead,
    load_quota,
    load_quota_spending,
    reset_quota,
    set_quota,
)
from models.budgets.usage import find_cost_rate
from models.sandboxes.sandbox import SandboxPurpose, SandboxStatus
from tests.conftest import ProjectKey
from tests.factories import make_running_run
from tests.unit.models.budgets.test_budget import SONNET

DEFAULT = Quota(Decimal(5), 3)


async def test_an_operators_quota_goes_before_the_settings(database: Database, project: ProjectKey) -> None:
    async with database.transaction() as session:
        row = await session.get_one(Project, project.id)
        assert await load_quota(session, row.id, DEFAULT) == DEFAULT
        await set_quota(session, row, QuotaKind.model_usd, Decimal(20))
        assert await load_quota(session, row.id, DEFAULT) == Quota(Decimal(20), 3)
        await set_quota(session, row, QuotaKind.sandboxes, None)
        await set_quota(session, row, QuotaKind.model_usd, Decimal("0.5"))
        assert await load_quota(session, row.id, DEFAULT) == Quota(Decimal("0.5"), None)
        await set_quota(session, row, QuotaKind.sandboxes, Decimal(1))
        await reset_quota(session, row, QuotaKind.model_usd)
        assert await load_quota(session, row.id, DEFAULT) == Quota(Decimal(5), 1)


@pytest.mark.parametrize(
    "wrong", [{"model_usd": "-1"}, {"model_usd": "much"}, {"sandboxes": "0"}, {"sandboxes": "1.5"}]
)
def test_a_limit_is_a_number_that_makes_sense(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        QuotaInput.model_validate(wrong)


async def test_a_month_begins_with_nothing_spent(database: Database, project: ProjectKey) -> None:
    ids = [quota_budget_id(project.id)]
    async with database.transaction() as session:
        assert await load_quota_spending(session, project.id) == 0
        [budget] = await lock_budgets(session, project.id, ids)
        assert budget.spent_usd == 0
        budget.spend(Decimal("1.5"))
        await session.flush()
        assert await load_quota_spending(session, project.id) == Decimal("1.5")
        budget.month = dt.date(2020, 2, 1)
        await session.flush()
        assert await load_quota_spending(session, project.id) == 0
        assert [each.spent_usd for each in await lock_budgets(session, project.id, ids)] == [0]


async def test_sandboxes_come_in_the_order_in_which_they_were_asked_for(
    database: Database, project: ProjectKey
) -> None:
    async with database.transaction() as session:
        boxes: list[Sandbox] = []
        for number in range(1, 5):
            blueprint, run, sandbox = make_running_run(project)
            run.run_number = number
            for row in (blueprint, run, sandbox):
                session.add(row)
                await session.flush()
            boxes.append(sandbox)
        assert [await count_jobs_ahead(session, box) for box in boxes] == [0, 1, 2, 3]
        assert await count_busy_jobs(session, project.id) == 4
        boxes[0].status, boxes[1].status = SandboxStatus.killed, SandboxStatus.error
        boxes[2].status = SandboxStatus.paused
        await session.flush()
        assert [await count_jobs_ahead(session, box) for box in boxes[2:]] == [0, 1]
        second = Sandbox(
            project_id=project.id,
            job_id=boxes[3].job_id,
            purpose=SandboxPurpose.verification,
            name="n",
            template_id="base",
            timeout_ms=1,
        )
        session.add(second)
        await session.flush()
        assert await count_jobs_ahead(session, second) == 0, "a job that has one waits for nobody"
        assert await count_busy_jobs(session, project.id) == 2


async def test_the_installations_price_counts_where_its_key_pays(
    database: Database, project: ProjectKey
) -> None:
    own = CostRate(
        project_id=project.id,
        **SONNET.model_dump(exclude={"id", "project_id", "model_prefix"}),
        model_prefix="claude-sonnet-5",
    )
    own.output = Decimal(0)
    async with database.transaction() as session:
        session.add(own)
        await session.flush()
        theirs = await find_cost_rate(session, "claude-sonnet-5-5", project.id)
        assert theirs is not None
        assert theirs.project_id == project.id
        installations = await find_cost_rate(
            session, "claude-sonnet-5-5", project.id, installations_first=True
        )
        assert installations is not None
        assert installations.project_id is None
