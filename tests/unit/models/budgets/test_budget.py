"""What a call may cost at most, what is left for it, and who is told what: without a database."""

import datetime as dt
from decimal import Decimal

import pytest

from models.budgets.budget import Budget, BudgetScope
from models.budgets.money_code import BudgetWaitCode
from models.budgets.reservation import affordable_tokens, max_price, refusal_code
from models.budgets.usage import CostRate, Tokens, price_usage
from models.runs.run import RunStatus
from tests.unit.models.runs.test_run import a_run

SONNET = CostRate(
    model_prefix="claude-sonnet",
    input=Decimal(3),
    cache_write_5m=Decimal("3.75"),
    cache_write_1h=Decimal(6),
    cache_read=Decimal("0.3"),
    output=Decimal(15),
)
ODD = CostRate(
    model_prefix="odd",
    input=Decimal("0.00000003"),
    cache_write_5m=Decimal("1.23456789"),
    cache_write_1h=Decimal("0.7"),
    cache_read=Decimal("0.11111111"),
    output=Decimal("7.77777777"),
)
NOTHING = dict.fromkeys(BudgetScope, Decimal(0))


def a_budget(cap: str | None, spent: str = "0", month: dt.date | None = None) -> Budget:
    return Budget(
        id="prj_1",
        project_id="prj_1",
        cap_usd=None if cap is None else Decimal(cap),
        spent_usd=Decimal(spent),
        month=month,
    )


@pytest.mark.parametrize("rate", [SONNET, ODD])
@pytest.mark.parametrize("kind", ["input", "cache_read", "cache_write_5m", "cache_write_1h"])
@pytest.mark.parametrize(("question", "answer"), [(1, 1), (777, 13), (123_457, 31_999)])
def test_a_bound_is_never_below_the_price(rate: CostRate, kind: str, question: int, answer: int) -> None:
    tokens = Tokens(**{**dict.fromkeys(Tokens._fields, 0), kind: question, "output": answer})
    paid = sum((usd for _, usd in price_usage(rate, tokens).values()), Decimal(0))
    assert max_price(rate, question, answer) >= paid


@pytest.mark.parametrize("room", ["0.1", "0.00000001", "0", "-3", "12.34567891"])
@pytest.mark.parametrize("rate", [SONNET, ODD])
def test_what_is_affordable_costs_no_more_than_there_is(rate: CostRate, room: str) -> None:
    tokens = affordable_tokens(rate, 4_321, Decimal(room))
    assert tokens == 0 or max_price(rate, 4_321, tokens) <= Decimal(room)
    assert max_price(rate, 4_321, tokens + 2) > Decimal(room)


def test_a_refusal_tells_a_cap_from_reservations() -> None:
    budget = a_budget("10", "9.90")
    reserved = {**NOTHING, BudgetScope.project: Decimal("0.05")}
    assert refusal_code([budget], reserved, Decimal("0.05")) is None
    assert refusal_code([budget], reserved, Decimal("0.05000001")) is BudgetWaitCode.reserved
    assert refusal_code([budget], reserved, Decimal("0.10000001")) is BudgetWaitCode.reached


def test_a_month_turns_once_and_never_back() -> None:
    budget = a_budget("10", "9.90", month=dt.date(2026, 11, 1))
    assert budget.mark_announced()
    budget.start_month(dt.date(2026, 11, 30))
    assert budget.spent_usd == Decimal("9.90")
    budget.start_month(dt.date(2026, 12, 1))
    assert (budget.spent_usd, budget.month) == (Decimal(0), dt.date(2026, 12, 1))
    assert budget.mark_announced(), "a cap is announced anew each month"
    budget.spent_usd = Decimal(1)
    budget.start_month(dt.date(2026, 11, 30))  # a clock that is behind
    assert (budget.spent_usd, budget.month) == (Decimal(1), dt.date(2026, 12, 1))


def test_a_budget_without_month_never_turns() -> None:
    budget = a_budget("10", "9.90")
    budget.start_month(dt.date(2030, 1, 1))
    assert budget.spent_usd == Decimal("9.90")


def test_each_value_of_a_cap_is_announced_once() -> None:
    budget = a_budget("10")
    assert [budget.mark_announced(), budget.mark_announced()] == [True, False]
    budget.cap_usd = Decimal(20)
    assert [budget.mark_announced(), budget.mark_announced()] == [True, False]


def test_a_run_is_paused_for_money_and_by_people_apart() -> None:
    run = a_run(RunStatus.running)
    reason: dict[str, object] = {"code": "BUDGET_REACHED", "message": "m"}
    assert run.pause_for_budget(reason)
    assert not run.pause_for_budget(reason)
    assert (run.status, run.paused_at) == (RunStatus.paused, None)
    assert not run.resume(), "nobody has paused it"
    assert run.pause()
    assert not run.pause()
    run.waiting = None
    assert not run.resume_from_budget(), "a person has paused it"
    assert run.status is RunStatus.paused
    assert run.resume()
    assert (run.status, run.paused_at) == (RunStatus.running, None)


def test_a_person_resumes_a_run_that_waits_for_reservations_of_others() -> None:
    run = a_run(RunStatus.running)
    run.set_waiting({"code": "BUDGET_RESERVED", "message": "m"})
    assert run.pause()
    assert run.resume()
    assert not run.resume()
    assert (run.status, run.paused_at) == (RunStatus.running, None)


def test_a_person_resumes_a_run_that_has_no_money() -> None:
    run = a_run(RunStatus.running)
    run.pause()
    run.pause_for_budget({"code": "MODEL_WITHOUT_PRICE", "message": "m"})
    assert run.resume()
    assert (run.status, run.paused_at) == (RunStatus.paused, None)
    run.waiting = None
    assert run.resume_from_budget()
    assert run.status is RunStatus.running
