"""Why a run is where it is, for every place where it can be."""

import pytest

from models.base import JsonObject
from models.runs.run import PrStatus, Run, RunStatus
from models.runs.status_reason import Reason, explain_status
from tests.unit.models.runs.test_run import a_run

LIMIT: JsonObject = {
    "code": "PROVIDER_LIMIT",
    "message": "The model API is overloaded.",
    "until": "2026-01-15T10:06:12.345Z",
}
NO_MONEY: JsonObject = {"code": "BUDGET_REACHED", "message": "The run's budget is reached."}
NO_ROOM: JsonObject = {"code": "BUDGET_RESERVED", "message": "The rest is reserved."}
RETRY: JsonObject = {"code": "UPSTREAM_FAILED", "message": "push branch is tried again: GitHub answered 502."}


def at_work(**fields: object) -> Run:
    run = a_run(RunStatus.running)
    for name, value in fields.items():
        setattr(run, name, value)
    return run


def out_of_money(*, paused: bool = False) -> Run:
    run = a_run(RunStatus.running)
    if paused:
        run.pause()
    run.pause_for_budget(NO_MONEY)
    return run


def merging() -> Run:
    run = a_run(RunStatus.completed)
    run.pr_number, run.pr_status = 42, PrStatus.blocked_on_ci
    return run


@pytest.mark.parametrize(
    ("run", "reason", "words"),
    [
        (a_run(), Reason.queued, "waits for a worker"),
        (a_run(RunStatus.paused), Reason.paused, "/resume"),
        (at_work(), Reason.working, "being prepared"),
        (at_work(current_step_progress="Design: turn 4"), Reason.working, "Design: turn 4"),
        (at_work(waiting=LIMIT), Reason.provider_limit, "overloaded"),
        (at_work(waiting=RETRY), Reason.retrying, "GitHub answered 502"),
        (out_of_money(), Reason.budget_reached, "The run's budget"),
        (out_of_money(paused=True), Reason.budget_reached, "It was paused, too"),
        (at_work(waiting=NO_ROOM), Reason.budget_reserved, "reserved"),
        (at_work(pr_number=42), Reason.ci, "Pull request 42"),
        (at_work(pr_number=42, waiting=LIMIT), Reason.provider_limit, "overloaded"),
        (a_run(RunStatus.completed), Reason.ended, "completed"),
        (a_run(RunStatus.cancelled), Reason.ended, "cancelled"),
        (merging(), Reason.ci, "the merge of pull request 42 waits for CI"),
    ],
)
def test_a_run_says_what_it_waits_for(run: Run, reason: Reason, words: str) -> None:
    told = explain_status(run)
    assert told.reason is reason
    assert words in told.message


def test_a_failed_run_says_of_what() -> None:
    run = at_work()
    run.close(RunStatus.failed, code="SCRIPT_FAILED", message="What to do about it.")
    told = explain_status(run)
    assert told.reason is Reason.ended
    assert "What to do about it." in told.message
    assert not told.reason.is_wait


def test_a_wait_tells_until_when() -> None:
    until = explain_status(at_work(waiting=LIMIT)).until
    assert until is not None
    assert until.isoformat() == "2026-01-15T10:06:12.345000+00:00"
    assert explain_status(at_work(waiting=RETRY)).until is None
