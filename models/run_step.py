"""One step of one iteration of a run."""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from sqlalchemy import ARRAY, Text, UniqueConstraint
from sqlmodel import Field

from kit.ids import prefixed
from models.base import Dollars, Record, Timestamp, choice, now
from models.persona import StepRole, ThinkingEffort


class StepStatus(StrEnum):
    running = "running"
    completed = "completed"
    failed = "failed"
    cancelled = "cancelled"


class Verdict(StrEnum):
    passed = "pass"
    failed = "fail"


class RunStep(Record, table=True):
    __table_args__ = (UniqueConstraint("run_id", "index", "iteration"),)
    id: str = Field(default_factory=prefixed("step"), primary_key=True)
    run_id: str = Field(foreign_key="run.id", ondelete="CASCADE")
    index: int
    iteration: int
    role: StepRole = Field(sa_type=choice(StepRole))
    label: str
    persona_id: str | None = None
    model: str
    thinking_effort: ThinkingEffort = Field(sa_type=choice(ThinkingEffort))
    status: StepStatus = Field(default=StepStatus.running, sa_type=choice(StepStatus))
    verdict: Verdict | None = Field(default=None, sa_type=choice(Verdict))
    feedback: str | None = None
    quality_score: float | None = None
    test_result: str | None = None
    output: str | None = None
    cost_usd: Decimal = Field(default=Decimal(0), sa_type=Dollars)
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    sandbox_ids: list[str] = Field(default_factory=list, sa_type=ARRAY(Text))
    started_at: datetime = Field(default_factory=now, sa_type=Timestamp)
    completed_at: datetime | None = Field(default=None, sa_type=Timestamp)

    def close(
        self,
        status: StepStatus,
        *,
        output: str | None = None,
        verdict: Verdict | None = None,
        feedback: str | None = None,
        score: float | None = None,
    ) -> bool:
        """End the step once; False when it had ended before."""
        if self.status is not StepStatus.running:
            return False
        self.status, self.completed_at = status, now()
        self.output, self.verdict, self.feedback, self.quality_score = output, verdict, feedback, score
        return True
