"""A run from its acceptance to its end: what is left in the database, on the forge and in the sandboxes."""

from asyncio import Task
from decimal import Decimal

import pytest

from models.blueprints.blueprint import BlueprintConfig
from models.budgets.usage import UsageUnit
from models.event import EventType
from models.notifications.notification import NotificationType
from models.runs.run import PrStatus, RunStatus
from models.runs.run_step import StepStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.support.installation import Installation
from tests.support.outcomes import RunOutcome, outcome_of, start_outcomes
from tests.support.scenarios import bash, create, finish, register_scenario

GREETING = register_scenario(
    "greeting",
    create("shout.py", "print('HI')\n"),
    bash("python3 shout.py"),
    finish("Added shout.py, which greets loudly."),
)
NOTHING = register_scenario("nothing", bash("ls"), finish("There was nothing to do."))
Outcomes = dict[str, Task[RunOutcome]]


@pytest.fixture(scope="module")
async def outcomes(site: Installation) -> Outcomes:
    return start_outcomes(
        site,
        greeting=site.start(f"Greet loudly {GREETING}"),
        nothing=site.start(f"Do nothing {NOTHING}"),
        without=site.start(f"Only push {GREETING}", config=BlueprintConfig(create_pr=False)),
        draft=site.start(f"Draft {GREETING}", config=BlueprintConfig(draft_pr=True)),
        unknown=site.start(f"Nowhere {GREETING}", repository="org/never-made"),
        missing=site.start(f"Branch {GREETING}", config=BlueprintConfig(base_branch="never-made")),
    )


async def test_a_run_ends_in_a_pull_request(outcomes: Outcomes) -> None:
    outcome = await outcomes["greeting"]
    run, [pull] = outcome.run, outcome.pulls
    assert (run.status, run.pr_status, run.error_code) == (RunStatus.completed, PrStatus.created, None)
    assert (pull["html_url"], pull["number"], pull["state"]) == (run.pr_url, run.pr_number, "open")
    assert pull["draft"] is False
    assert str(pull["title"]) == run.name == f"Greet loudly {GREETING}"
    assert "Added shout.py, which greets loudly." in str(pull["body"])
    assert run.id in str(pull["body"])
    assert outcome.branches == [run.branch_name]
    assert outcome.file("shout.py") == "print('HI')\n"
    assert outcome.commit() == ["CodeCourier <bot@codecourier.invalid>", run.name]
    [step] = outcome.steps
    assert (step.status, step.output) == (StepStatus.completed, "Added shout.py, which greets loudly.")


async def test_every_change_is_an_event_in_order(outcomes: Outcomes) -> None:
    outcome = await outcomes["greeting"]
    turn, tool = EventType.turn_completed, EventType.tool_completed
    assert outcome.types[:13] == [
        EventType.run_created,
        EventType.run_started,
        EventType.sandbox_creating,
        EventType.sandbox_running,
        EventType.repository_cloned,
        EventType.step_started,
        turn,
        tool,
        turn,
        tool,
        turn,
        EventType.step_completed,
        EventType.branch_pushed,
    ]
    *at_once, last = outcome.types[13:]
    assert sorted(at_once) == [EventType.ci_updated, EventType.pr_created, EventType.sandbox_killed]
    assert last == EventType.run_completed


async def test_the_whole_conversation_can_be_read(outcomes: Outcomes) -> None:
    outcome = await outcomes["greeting"]
    assert [message.role.value for message in outcome.messages] == ["user", *3 * ["assistant"]]
    assert [call.name for call in outcome.calls] == ["str_replace_based_edit_tool", "bash", "finish"]
    assert outcome.calls[1].result == "HI"
    asked = [str(block["id"]) for message in outcome.messages[1:] for block in message.content]
    assert asked == [call.tool_use_id for call in outcome.calls]


async def test_what_was_used_is_counted_once_and_adds_up(outcomes: Outcomes) -> None:
    outcome = await outcomes["greeting"]
    assert outcome.run.cost_usd > 0
    for total in (outcome.usage, outcome.messages, outcome.steps):
        assert sum((row.cost_usd for row in total), Decimal(0)) == outcome.run.cost_usd
    used = dict.fromkeys(UsageUnit, 0)
    for record in outcome.usage:
        used[record.unit] += record.quantity
    assert used[UsageUnit.output_tokens] == outcome.run.output_tokens > 0
    assert used[UsageUnit.cache_read_tokens] == outcome.run.cache_read_tokens > 0
    assert len([record for record in outcome.usage if record.unit is UsageUnit.sandbox_seconds]) == 1


async def test_the_member_is_told_and_the_sandbox_is_gone(outcomes: Outcomes) -> None:
    outcome = await outcomes["greeting"]
    kinds = [each.type for each in outcome.notifications]
    assert kinds == [NotificationType.pr_created, NotificationType.run_completed]
    [sandbox] = outcome.sandboxes
    assert sandbox.status is SandboxStatus.killed
    assert sandbox.killed_at is not None


async def test_a_run_that_changes_nothing_opens_no_pull_request(outcomes: Outcomes) -> None:
    outcome = await outcomes["nothing"]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.skipped)
    assert (outcome.pulls, outcome.branches, outcome.run.pr_url) == ([], [], None)
    assert EventType.pr_skipped in outcome.types
    assert EventType.branch_pushed not in outcome.types


async def test_a_blueprint_may_want_a_branch_only_or_a_draft(outcomes: Outcomes) -> None:
    without, draft = await outcomes["without"], await outcomes["draft"]
    assert (without.run.status, without.pulls) == (RunStatus.completed, [])
    assert without.branches == [without.run.branch_name]
    assert draft.pulls[0]["draft"] is True


@pytest.mark.parametrize(
    ("which", "code", "words"),
    [
        ("unknown", "REPOSITORY_NOT_FOUND", "org/never-made"),
        ("missing", "BASE_BRANCH_MISSING", "never-made"),
    ],
)
async def test_what_is_not_there_is_named(outcomes: Outcomes, which: str, code: str, words: str) -> None:
    outcome = await outcomes[which]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, code)
    assert words in str(outcome.run.error_message)
    assert [each.type for each in outcome.notifications] == [NotificationType.run_failed]
    assert outcome.events[-1].data["code"] == code


async def test_no_hidden_ref_is_left(outcomes: Outcomes) -> None:
    for which in ("greeting", "nothing", "without"):
        outcome = await outcomes[which]
        assert outcome.git("for-each-ref", "refs/codecourier") == ""


async def test_a_sandbox_that_is_slow_to_go_keeps_nobody_from_ci(site: Installation) -> None:
    run = await site.accept(f"Greet while it goes {GREETING}")
    trap = f"kill-sandbox@{run.id}"
    site.set_trap(trap, "hold")
    await site.send(run)
    await site.sprung(trap)
    await site.until(run, EventType.ci_updated)
    assert EventType.sandbox_killed not in [event.type for event in await site.events(run)]
    site.release(trap)
    assert (await outcome_of(site, run)).run.status is RunStatus.completed
