"""What a restarted run goes on from: the branch that the ended run left, and the first step left to do."""

from pydantic import BaseModel, Field

from models.runs.run import Run, RunStatus
from models.runs.run_step import RunStep, Verdict


class EarlierOutput(BaseModel):
    """What a step put out that needs not be done again."""

    index: int
    label: str
    output: str
    verdict: Verdict | None = None
    feedback: str | None = None


class Continuation(BaseModel):
    run_id: str
    run_number: int
    branch: str
    """Where its work is, unless that is in a checkpoint."""
    checkpoint_of: str | None = None
    """The run whose last checkpoint holds the work: it was lost before it pushed any."""
    first_step: int
    """The index of the step to begin with; one beyond the last when only the delivery is left."""
    reason: str
    """Why it ended."""
    outputs: list[EarlierOutput] = Field(default_factory=list)
    """In the order of the work."""

    @property
    def pushed_branch(self) -> str | None:
        """Its branch, where that holds the work."""
        return self.branch if self.checkpoint_of is None else None


def plan_continuation(
    old: Run,
    steps: list[RunStep],
    blocks: list[list[int]],
    before: Continuation | None,
    *,
    has_checkpoint: bool,
) -> Continuation | None:
    """What is left of an ended run's work; None: nothing, so that its restart begins from scratch.

    steps: of the old run, in the order of their work; blocks: the indexes of its steps by block; before: what
    the old run went on from itself; has_checkpoint: whether one of the old run is kept.

    What a step did that completed may be lost all the same, with its sandbox: it is done again, and so is
    what came after it.
    """
    if old.status is RunStatus.completed:
        return None
    if old.branch_name is None or (old.head_sha is None and not has_checkpoint):
        return before
    lost = [number for number, step in enumerate(steps) if step.unsaved_in is not None]
    steps = steps[: lost[0] + 1] if lost else steps
    done = [step for step in steps if step.is_saved]
    return Continuation(
        run_id=old.id,
        run_number=old.run_number,
        branch=old.branch_name,
        checkpoint_of=old.id if old.head_sha is None else None,
        first_step=_first_unfinished(steps, blocks, before),
        reason=f"{old.error_code}: {old.error_message}" if old.error_code else f"It was {old.status}.",
        outputs=[
            *(before.outputs if before else []),
            *(
                EarlierOutput(
                    index=step.index,
                    label=step.label,
                    output=step.output or "",
                    verdict=step.verdict,
                    feedback=step.feedback,
                )
                for step in done
            ),
        ],
    )


def _first_unfinished(steps: list[RunStep], blocks: list[list[int]], before: Continuation | None) -> int:
    """The step that is not done; after a check that did not pass, the first of its block."""
    if not steps:
        return before.first_step if before else 0
    last = steps[-1]
    if not last.is_saved:
        return last.index
    if last.verdict is Verdict.failed:
        return next(block[0] for block in blocks if last.index in block)
    return last.index + 1
