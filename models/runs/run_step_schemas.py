"""Steps of a run on the wire, with the scores that an evaluator or a judge gave."""

from pydantic.config import JsonDict

from kit.schemas import Read, UsdAmount, UtcTimestamp, Wire
from models.blueprints.persona import StepRole, ThinkingEffort
from models.json_view import JsonView, json_object_sql
from models.runs.run_step import RunStep, StepStatus, Verdict


class RankedBranch(Wire):
    """One of the branches that a judge compared."""

    branch: str
    """The branch's name."""
    score: int
    """From 0, useless, to 100, could not be better."""
    reasons: list[str]
    """What decided it."""


STEP: JsonDict = {
    "id": "step_0198f2c5f1a27b3c8d4e5f6a7b8c9d0e",
    "_id": "step_0198f2c5f1a27b3c8d4e5f6a7b8c9d0e",
    "index": 0,
    "role": "designer",
    "label": "Design",
    "personaId": None,
    "model": "claude-sonnet-5-5",
    "thinkingEffort": "medium",
    "iteration": 1,
    "status": "completed",
    "verdict": None,
    "feedback": None,
    "qualityScore": None,
    "qualityReasons": None,
    "ranking": None,
    "testResult": None,
    "costUsd": 0.42,
    "tokenUsage": {"input": 5120, "output": 940, "cacheRead": 20480, "cacheWrite": 2048},
    "sandboxIds": ["s_0198f2c5e4f57a1b9c2d4e6f8a0b1c2d"],
    "startedAt": "2026-01-15T10:04:02.000Z",
    "completedAt": "2026-01-15T10:06:40.000Z",
    "output": "The toggle is in place.",
}


class TokenUsage(Wire):
    """How many tokens were used, by kind."""

    input: int
    """Tokens that the models read, without those of the cache."""
    output: int
    """Tokens that they wrote."""
    cache_read: int
    """Tokens that they read from the cache."""
    cache_write: int
    """Tokens that were written to the cache."""


class RunStepRead(Read):
    """One step of one iteration."""

    index: int
    """Its place in the pipeline, from 0."""
    role: StepRole
    """What the step does."""
    label: str
    """What people call it."""
    persona_id: str | None
    """The persona that does it."""
    model: str
    """The model that does it."""
    thinking_effort: ThinkingEffort
    """How much its model thinks."""
    iteration: int
    """Which iteration it is of, from 1."""
    status: StepStatus
    """Whether it still works, or how it ended."""
    verdict: Verdict | None
    """What a checker or reviewer decided."""
    feedback: str | None
    """What a checker or reviewer wants changed."""
    quality_score: float | None
    """From 0 to 100, where the step evaluates or judges."""
    quality_reasons: list[str] | None
    """What decided the score."""
    ranking: list[RankedBranch] | None
    """The branches that a judge step compared, the best first."""
    test_result: str | None
    """What came of the tests, where it ran some."""
    token_usage: TokenUsage
    """The tokens that its agent used so far."""
    cost_usd: UsdAmount
    """What it cost, in US dollars."""
    sandbox_ids: list[str]
    """The sandboxes that it worked in."""
    started_at: UtcTimestamp
    """When it began."""
    completed_at: UtcTimestamp | None
    """When it ended."""
    output: str | None
    """What it says of its work."""


TOKENS = json_object_sql(
    input="input_tokens",
    output="output_tokens",
    cacheRead="cache_read_tokens",
    cacheWrite="cache_write_tokens",
)
STEPS = JsonView(RunStepRead, RunStep, "Step", shown={"token_usage": TOKENS})
