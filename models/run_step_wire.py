"""Steps of a run on the wire."""

from pydantic.config import JsonDict

from kit.wire import Moment, Money, Read, Wire
from models.persona import StepRole, ThinkingEffort
from models.run_step import RunStep, StepStatus, Verdict
from models.view import View, pairs

STEP: JsonDict = {
    "id": "step_0198f2c5f1a27b3c8d4e5f6a7b8c9d0e", "_id": "step_0198f2c5f1a27b3c8d4e5f6a7b8c9d0e",
    "index": 0, "role": "designer", "label": "Design", "personaId": None, "model": "claude-sonnet-5-5",
    "thinkingEffort": "medium", "iteration": 1, "status": "completed", "verdict": None, "feedback": None,
    "qualityScore": None, "testResult": None, "costUsd": 0.42,
    "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    "sandboxIds": ["s_0198f2c5e4f57a1b9c2d4e6f8a0b1c2d"], "startedAt": "2026-01-15T10:04:02.000Z",
    "completedAt": "2026-01-15T10:06:40.000Z", "output": "The toggle is in place.",
}  # fmt: skip


class TokenUsage(Wire):
    input: int
    output: int
    cache_read: int
    cache_write: int


class RunStepRead(Read):
    """One step of one iteration."""

    index: int
    role: StepRole
    label: str
    persona_id: str | None
    model: str
    thinking_effort: ThinkingEffort
    iteration: int
    status: StepStatus
    verdict: Verdict | None
    feedback: str | None
    quality_score: float | None
    test_result: str | None
    token_usage: TokenUsage
    cost_usd: Money
    sandbox_ids: list[str]
    started_at: Moment
    completed_at: Moment | None
    output: str | None


TOKENS = pairs(
    input="input_tokens",
    output="output_tokens",
    cacheRead="cache_read_tokens",
    cacheWrite="cache_write_tokens",
)
STEPS = View(RunStepRead, RunStep, "Step", shown={"token_usage": TOKENS})
