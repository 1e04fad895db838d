"""One step of one iteration of a run."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ARRAY, Index, Text, UniqueConstraint, update
from sqlmodel import Field, col
from sqlmodel.ext.asyncio.session import AsyncSession

from kit.ids import prefixed
from models.base import Dollars, Json, JsonObject, Record, Timestamp, enum_column, now
from models.blueprints.persona import StepRole, ThinkingEffort


class StepStatus(StrEnum):
    """`running` until it ends; `completed`, `failed` and `cancelled` are final."""

    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class Verdict(StrEnum):
    """Whether a checker or reviewer lets the work of an iteration `pass`, or `fail`s it so that it is done
    again."""

    passed = "pass"
    failed = "fail"


class RunStep(Record, table=True):
    __table_args__ = (
        UniqueConstraint("run_id", "index", "iteration"),
        Index("run_step_of_persona", "persona_id", "started_at", postgresql_where="persona_id IS NOT NULL"),
    )
    id: str = Field(default_factory=prefixed("step"), primary_key=True)
    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE")
    index: int
    iteration: int
    role: StepRole = Field(sa_type=enum_column(StepRole))
    label: str
    persona_id: str | None = None
    model: str
    thinking_effort: ThinkingEffort = Field(sa_type=enum_column(ThinkingEffort))
    status: StepStatus = Field(default=StepStatus.running, sa_type=enum_column(StepStatus))
    verdict: Verdict | None = Field(default=None, sa_type=enum_column(Verdict))
    feedback: str | None = None
    quality_score: float | None = None
    """From 0 to 100, by an evaluator or a judge."""
    quality_reasons: list[str] | None = Field(default=None, sa_type=Json)
    ranking: list[JsonObject] | None = Field(default=None, sa_type=Json)
    """Of the branches that a judge compared, the best first: `RankedBranch` of `ranked_branch_schema`."""
    test_result: str | None = None
    output: str | None = None
    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    sandbox_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    unsaved_in: str | None = None
    """The sandbox that alone has, or had, something of what it left: that is in no checkpoint and on no
    branch, and gone with the sandbox."""
    started_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def move_to_sandbox(self, sandbox_id: str) -> None:
        """Its agent works in this sandbox from now on."""
        if sandbox_id not in self.sandbox_ids:
            self.sandbox_ids = [*self.sandbox_ids, sandbox_id]

    @property
    def is_saved(self) -> bool:
        """Whether it completed, and what it left was saved: nobody has to do it again."""
        return self.status is StepStatus.completed and self.unsaved_in is None

    def close(
        self,
        status: StepStatus,
        *,
        unsaved_in: str | None = None,
        output: str | None = None,
        verdict: Verdict | None = None,
        feedback: str | None = None,
        score: float | None = None,
        reasons: list[str] | None = None,
        ranking: list[JsonObject] | None = None,
    ) -> bool:
        """End the step once; False when it had ended before."""
        if self.status is not StepStatus.running:
            return False
        self.status, self.completed_at, self.unsaved_in = status, now(), unsaved_in
        self.output, self.verdict, self.feedback = output, verdict, feedback
        self.quality_score, self.quality_reasons, self.ranking = score, reasons, ranking
        return True


async def mark_work_saved(session: AsyncSession, run_id: str, sandbox_id: str) -> None:
    """What the run's steps left in this sandbox is in a checkpoint or on a branch now."""
    left_there = col(RunStep.run_id) == run_id, col(RunStep.unsaved_in) == sandbox_id
    await session.execute(update(RunStep).where(*left_there).values(unsaved_in=None))
