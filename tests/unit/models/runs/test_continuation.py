"""Where a restarted run goes on: by what became of the steps of the ended one."""

import pytest

from models import Run, RunStep
from models.blueprints.persona import StepRole, ThinkingEffort
from models.runs.continuation import Continuation, plan_continuation
from models.runs.run import RunStatus
from models.runs.run_step import StepStatus, Verdict

BLOCKS = [[0], [1, 2], [3]]
BEFORE = Continuation(run_id="r_0", run_number=1, branch="codecourier/1-x", first_step=1, reason="x")
DONE, FAILED = StepStatus.completed, StepStatus.failed


def ended(status: RunStatus = RunStatus.failed, sha: str | None = "a" * 40) -> Run:
    return Run(
        id="r_1",
        run_number=2,
        status=status,
        head_sha=sha,
        branch_name="codecourier/2-x",
        prompt="p",
        project_id="prj_1",
        name="x",
        github_repo_url="u",
        repository_slug="o/r",
        blueprint_id="wf_1",
        blueprint_name="b",
        error_code="TURN_LIMIT",
        error_message="Enough.",
    )


def step(
    index: int, status: StepStatus = DONE, verdict: Verdict | None = None, *, unsaved: bool = False
) -> RunStep:
    return RunStep(
        unsaved_in="s_1" if unsaved else None,
        project_id="prj_1",
        run_id="r_1",
        index=index,
        iteration=1,
        role=StepRole.designer,
        label=f"s{index}",
        model="m",
        thinking_effort=ThinkingEffort.medium,
        status=status,
        verdict=verdict,
        output=f"o{index}",
    )


@pytest.mark.parametrize(
    ("steps", "first"),
    [
        ([], 0),
        ([step(0, FAILED)], 0),
        ([step(0)], 1),
        ([step(0), step(1, FAILED)], 1),
        ([step(0), step(1), step(2, FAILED)], 2),
        ([step(0), step(1), step(2, verdict=Verdict.failed)], 1),
        ([step(0), step(1), step(2, verdict=Verdict.passed)], 3),
        ([step(0), step(1), step(2, verdict=Verdict.passed), step(3)], 4),
    ],
)
def test_it_begins_with_the_first_step_left(steps: list[RunStep], first: int) -> None:
    left = plan_continuation(ended(), steps, BLOCKS, None, has_checkpoint=False)
    assert left is not None
    assert (left.first_step, left.branch, left.reason) == (first, "codecourier/2-x", "TURN_LIMIT: Enough.")
    assert [each.index for each in left.outputs] == [each.index for each in steps if each.status is DONE]


@pytest.mark.parametrize(
    ("steps", "first", "kept"),
    [
        ([step(0, unsaved=True), step(1), step(2, FAILED)], 0, []),
        ([step(0), step(1, unsaved=True), step(2, verdict=Verdict.passed), step(3, FAILED)], 1, [0]),
        ([step(0), step(1), step(2, verdict=Verdict.failed), step(1, unsaved=True)], 1, [0, 1, 2]),
    ],
)
def test_a_step_whose_work_is_lost_is_done_again(steps: list[RunStep], first: int, kept: list[int]) -> None:
    left = plan_continuation(ended(), steps, BLOCKS, None, has_checkpoint=False)
    assert left is not None
    assert (left.first_step, [each.index for each in left.outputs]) == (first, kept)


def test_nothing_is_left_of_a_completed_run_and_of_one_that_pushed_nothing() -> None:
    assert (
        plan_continuation(ended(RunStatus.completed), [step(0)], BLOCKS, BEFORE, has_checkpoint=False) is None
    )
    assert plan_continuation(ended(sha=None), [step(0, FAILED)], BLOCKS, None, has_checkpoint=False) is None


def test_what_came_before_is_not_lost() -> None:
    assert (
        plan_continuation(ended(sha=None), [step(1, FAILED)], BLOCKS, BEFORE, has_checkpoint=False) == BEFORE
    )
    further = plan_continuation(ended(), [], BLOCKS, BEFORE, has_checkpoint=False)
    assert further is not None
    assert (further.run_id, further.first_step) == ("r_1", 1)
