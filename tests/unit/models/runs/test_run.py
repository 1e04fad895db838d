"""Rules on the rows: what may follow what, and what only happens once."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from kit.errors import Conflict
from models.blueprints.blueprint import DEFAULT_STEPS, BlueprintConfig, Pipeline, PipelineStep
from models.blueprints.persona import StepRole, ThinkingEffort
from models.budgets.usage import CostRate, Tokens, UsageUnit, price_usage
from models.jobs.snapshot import Snapshot, StepSnapshot, max_iterations
from models.runs.run import Run, RunStatus
from models.runs.run_start import run_name_from_prompt, slugify
from models.runs.run_step import RunStep, StepStatus, Verdict


def a_run(status: RunStatus = RunStatus.pending) -> Run:
    return Run(
        project_id="prj",
        run_number=1,
        name="n",
        status=status,
        prompt="p",
        github_repo_url="u",
        repository_slug="o/r",
        blueprint_id="wf",
        blueprint_name="b",
    )


def test_a_run_is_taken_once() -> None:
    run = a_run()
    assert run.mark_started()
    assert (run.status, run.started_at is not None) == (RunStatus.running, True)
    assert not run.mark_started()


@pytest.mark.parametrize("final", [status for status in RunStatus if status.is_final])
def test_the_first_ending_is_final(final: RunStatus) -> None:
    run = a_run(RunStatus.running)
    assert run.close(final, code="C", message="m")
    ended = run.completed_at
    for other in RunStatus:
        if other.is_final:
            assert not run.close(other, code="X")
    assert (run.status, run.error_code, run.completed_at) == (final, "C", ended)
    assert not run.mark_started()
    for verb in (run.pause, run.resume):
        with pytest.raises(Conflict, match=f"is {final}"):
            verb()


def test_pause_and_resume_may_be_said_twice() -> None:
    run = a_run(RunStatus.running)
    run.pause()
    run.pause()
    paused = run.status
    run.resume()
    run.resume()
    assert (paused, run.status) == (RunStatus.paused, RunStatus.running)


def test_a_step_ends_once() -> None:
    step = RunStep(
        project_id="prj",
        run_id="r",
        index=0,
        iteration=1,
        role=StepRole.checker,
        label="Check",
        model="m",
        thinking_effort=ThinkingEffort.low,
    )
    assert step.close(StepStatus.completed, output="fine", verdict=Verdict.passed)
    assert not step.close(StepStatus.failed)
    assert (step.status, step.verdict) == (StepStatus.completed, Verdict.passed)


@pytest.mark.parametrize(
    ("steps", "fault"),
    [
        ([], "at least 1"),
        ([("designer", "a"), ("planner", None), ("checker", "a")], "must be neighbours"),
        ([("designer", "a"), ("optimizer", "a")], "needs a checker or reviewer"),
    ],
)
def test_pipelines_that_cannot_work_are_refused(steps: list[tuple[str, str | None]], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        Pipeline.model_validate({"steps": [{"role": role, "loopId": loop} for role, loop in steps]})


def test_the_default_pipeline_obeys_the_rules() -> None:
    assert Pipeline(steps=DEFAULT_STEPS).steps == DEFAULT_STEPS
    assert isinstance(DEFAULT_STEPS[0], PipelineStep)


def a_step(
    index: int, loop: str | None = None, most: int = 1, secrets: list[str] | None = None
) -> StepSnapshot:
    return StepSnapshot(
        index=index,
        role=StepRole.designer,
        label="l",
        model="m",
        thinking_effort=ThinkingEffort.low,
        instructions="i",
        loop_id=loop,
        loop_max_iterations=most,
        max_turns=1,
        secrets=secrets,
    )


def a_snapshot(*steps: StepSnapshot) -> Snapshot:
    return Snapshot(
        blueprint_version=1,
        prompt="p",
        steps=[*steps],
        config=BlueprintConfig(),
        base_branch=None,
        branch_name="b",
        claude_md=None,
        sandbox_system_prompt=None,
        git_name="n",
        git_email="e",
    )


def test_neighbours_of_one_loop_are_one_block() -> None:
    snapshot = a_snapshot(a_step(0), a_step(1, "x", 3), a_step(2, "x", 5), a_step(3, "y", 2), a_step(4))
    assert [[step.index for step in block] for block in snapshot.blocks] == [[0], [1, 2], [3], [4]]
    assert [max_iterations(block) for block in snapshot.blocks] == [1, 5, 2, 1]


@pytest.mark.parametrize(
    ("of_steps", "beside"),
    [([], None), ([None, None], None), ([None, []], []), ([["A"], None], []), ([["A"], ["B"]], [])],
)
def test_what_belongs_to_no_step_is_given_secrets_only_while_no_step_names_its_own(
    of_steps: list[list[str] | None], beside: list[str] | None
) -> None:
    steps = [a_step(index, secrets=secrets) for index, secrets in enumerate(of_steps)]
    assert a_snapshot(*steps).job_secrets == beside


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Add a dark mode!", "add-a-dark-mode"), ("…", "run"), ("x" * 100, "x" * 40), ("Ä & ö", "run")],
)
def test_slugs_are_safe_in_branch_names(name: str, expected: str) -> None:
    assert slugify(name) == expected


def test_a_title_is_the_first_line_of_the_prompt() -> None:
    assert run_name_from_prompt("\n  Fix it \nnow") == "Fix it"
    assert len(run_name_from_prompt("word " * 100)) <= 80


def test_tokens_are_priced_by_kind() -> None:
    rate = CostRate(
        model_prefix="claude-sonnet",
        input=Decimal(3),
        cache_write_5m=Decimal("3.75"),
        cache_write_1h=Decimal(6),
        cache_read=Decimal("0.30"),
        output=Decimal(15),
    )
    used = price_usage(rate, Tokens(1_000_000, 2_000_000, 10_000_000, 0, 1_000_000))
    assert used == {
        UsageUnit.input_tokens: (1_000_000, Decimal(3)),
        UsageUnit.output_tokens: (2_000_000, Decimal(30)),
        UsageUnit.cache_read_tokens: (10_000_000, Decimal(3)),
        UsageUnit.cache_write_tokens: (1_000_000, Decimal(6)),
    }
    assert price_usage(None, Tokens(1, 0, 0, 0, 0)) == {UsageUnit.input_tokens: (1, Decimal(0))}
