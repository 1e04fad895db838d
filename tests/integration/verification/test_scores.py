"""Scores of evaluators and rankings of judges, on steps and runs."""

import pytest
from sqlmodel import col

from kit.errors import Invalid
from models import AgentSession, ToolCall
from models.blueprints.blueprint import PipelineStep
from models.blueprints.persona import StepRole
from models.runs.run import RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import git, outcome_of
from tests.support.scenarios import Turn, bash, create, finish, register_scenario

WORK = register_scenario("scored", create("made.txt", "1\n"), finish("Made it."), role="designer")
register_scenario(
    "scored",
    finish("Good.", score=82, reasons=["Every edge is tested.", "A name is unclear."]),
    role="evaluator",
)
STEPS = [PipelineStep(role=StepRole.designer), PipelineStep(role=StepRole.evaluator)]


def ranking(*branches: str) -> Turn:
    ranked = [
        {"branch": name, "score": 90 - 30 * place, "reasons": [f"Reason {place}."]}
        for place, name in enumerate(branches)
    ]
    return finish("Compared.", ranking=ranked)


JUDGED = register_scenario(
    "judged",
    bash("git diff --stat origin/one origin/two"),
    ranking("two", "three"),
    ranking("two", "one"),
    role="judge",
)
JUDGES = [PipelineStep(role=StepRole.judge)]


async def test_evaluator_scores_step_and_run_with_reasons(site: Installation) -> None:
    outcome = await outcome_of(site, await site.start(WORK, STEPS))
    assert outcome.run.status is RunStatus.completed
    reasons = ["Every edge is tested.", "A name is unclear."]
    scored = outcome.steps[-1]
    assert (scored.quality_score, scored.quality_reasons, scored.ranking) == (82, reasons, None)
    run = await site.read(outcome.run)
    assert (run.quality_score, run.quality_reasons, run.ranking) == (82, reasons, None)


async def test_judge_ranks_exactly_the_branches_of_the_request(site: Installation) -> None:
    """A ranking of other branches is refused; the agent sees the named ones in its clone."""
    run = await site.accept(JUDGED, JUDGES, compare_branches=["one", "two"])
    for name in ("one", "two"):
        git(site, run, "branch", name, "main")
    run = await site.ended(await site.send(run))
    assert run.status is RunStatus.completed, run.error_message
    [session] = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    calls = await site.rows(ToolCall, col(ToolCall.session_id) == session.id, col(ToolCall.id))
    diff, refused, accepted = (call.result for call in calls)
    assert "fatal" not in diff
    assert "Rank exactly these branches: one, two." in refused
    assert accepted == "Finished."
    assert run.ranking == [
        {"branch": "two", "score": 90, "reasons": ["Reason 0."]},
        {"branch": "one", "score": 60, "reasons": ["Reason 1."]},
    ]
    assert (run.quality_score, run.quality_reasons) == (90, ["Reason 0."])


async def test_comparison_without_the_branch_fails_with_its_name(site: Installation) -> None:
    run = await site.start(JUDGED, JUDGES, compare_branches=["main", "nowhere"])
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.failed
    assert "'nowhere'" in str(outcome.run.error_message)


@pytest.mark.parametrize("branches", [["main"], ["main", "main"], ["main", "two"]])
async def test_comparison_needs_two_branches_and_a_judge(site: Installation, branches: list[str]) -> None:
    with pytest.raises(Invalid, match="compareBranches"):
        await site.accept("x", STEPS if len(set(branches)) == 2 else JUDGES, compare_branches=branches)
