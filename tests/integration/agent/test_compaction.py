"""A conversation that outgrows its model's window goes on from a summary, as often as it must."""

from collections.abc import Sequence
from decimal import Decimal

import pytest

from models import Message, UsageRecord
from models.agent.session import MessageRole, turn_sequence
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.budgets.usage import UsageUnit
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import Turn, bash, create, finish, register_scenario, tool_calls, with_faults

SMALL_WINDOW = [PipelineStep(role=StepRole.designer, label="Work", model="claude-sonnet-4-5")]
"""200,000 tokens; what the scripted model counts is a quarter of the characters."""
LARGE = ("bash", {"command": "head -c 29000 /dev/zero | tr '\\0' x"})
MUCH, SOME = tool_calls(*[LARGE] * 25), tool_calls(*[LARGE] * 6)
ASKED = "Answer with the summary only"
FIRST, SECOND = "The letter alpha is written.", "The letters alpha and beta are written."


def said(text: str) -> Turn:
    return {"toolCalls": [], "text": text}


# What the model does shows what it was told: each part is played only for a conversation that holds the
# summary before it, and a summary's request is known by offering no tools.
GROWING = register_scenario("growing", said(SECOND), told=f"{FIRST}.*{ASKED}")
register_scenario("growing", said(FIRST), told=ASKED)
register_scenario(
    "growing", bash("never"), bash("echo gamma >> letters"), finish("Three letters."), told=SECOND
)
register_scenario("growing", bash("never"), MUCH, bash("echo beta >> letters"), finish("Forgot."), told=FIRST)
register_scenario("growing", MUCH, create("letters", "alpha\n"), finish("Forgot everything."))
REFUSED = register_scenario("refused", said("The letter was read."), told=ASKED)
register_scenario(
    "refused", bash("never"), create("letter", "a\n"), finish("Went on."), told="The letter was read."
)
register_scenario("refused", SOME, SOME, with_faults(bash("never"), {"status": 413}))
ALONE = register_scenario("alone", bash("true"), with_faults(finish("Asked again."), {"status": 413}))


@pytest.fixture(scope="module")
async def growing(site: Installation) -> RunOutcome:
    return await outcome_of(site, await site.start(f"Growing {GROWING}", SMALL_WINDOW))


async def test_it_goes_on_from_each_summary(growing: RunOutcome) -> None:
    assert (growing.run.status, growing.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert growing.file("letters") == "alpha\nbeta\ngamma\n"
    assert growing.steps[0].output == "Three letters."
    assert [call.is_error for call in growing.calls] == [False] * len(growing.calls)
    assert len(growing.calls) == 25 + 1 + 25 + 1 + 1 + 1


async def test_it_is_compacted_when_it_must_be_and_not_more_often(growing: RunOutcome) -> None:
    summaries = compactions(growing)
    assert [FIRST in str(row.content) for row in summaries] == [True, False]
    assert [SECOND in str(row.content) for row in summaries] == [False, True]
    told = [event.data["turn"] for event in growing.events if event.type == EventType.context_compacted]
    assert told == [3, 5]
    assert [row.sequence for row in answers(growing)] == [turn_sequence(turn) for turn in range(1, 7)]


async def test_what_a_summary_used_is_counted_like_any_turn(growing: RunOutcome) -> None:
    for row in compactions(growing):
        used = {each.unit: each.quantity for each in growing.usage if each.source_id == row.id}
        read = used.get(UsageUnit.input_tokens, 0) + used.get(UsageUnit.cache_write_tokens, 0)
        assert read > 10_000, "the record of the work was read"
        assert used[UsageUnit.output_tokens] > 0
        assert row.cost_usd > 0
    assert sum((each.cost_usd for each in of_model(growing)), Decimal(0)) == growing.run.cost_usd
    for unit, total in {
        UsageUnit.cache_write_tokens: growing.run.cache_write_tokens,
        UsageUnit.output_tokens: growing.run.output_tokens,
    }.items():
        assert sum(each.quantity for each in of_model(growing) if each.unit == unit) == total


async def test_a_model_that_refuses_the_length_is_asked_again_after_compaction(site: Installation) -> None:
    outcome = await outcome_of(site, await site.start(f"Refused {REFUSED}", SMALL_WINDOW))
    assert (outcome.run.status, outcome.file("letter")) == (RunStatus.completed, "a\n")
    assert outcome.steps[0].output == "Went on."
    assert outcome.types.count(EventType.context_compacted) == 1


async def test_a_conversation_that_is_too_long_and_cannot_be_shorter_ends_the_run(site: Installation) -> None:
    outcome = await outcome_of(site, await site.start(f"Alone {ALONE}"))
    assert outcome.run.status is RunStatus.failed
    assert compactions(outcome) == []
    assert len(answers(outcome)) == 1


def compactions(outcome: RunOutcome) -> Sequence[Message]:
    rows = [row for row in outcome.messages if row.role is MessageRole.compaction]
    return sorted(rows, key=lambda row: row.sequence)


def answers(outcome: RunOutcome) -> Sequence[Message]:
    rows = [row for row in outcome.messages if row.role is MessageRole.assistant]
    return sorted(rows, key=lambda row: row.sequence)


def of_model(outcome: RunOutcome) -> Sequence[UsageRecord]:
    return [each for each in outcome.usage if each.service == "anthropic"]
