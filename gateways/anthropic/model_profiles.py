"""What is known of each model: how much it holds, how much it may answer, how it is told to think."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from anthropic.types import OutputConfigParam, ThinkingConfigParam

Effort = Literal["low", "medium", "high", "max"]


class ModelProfile(NamedTuple):
    window: int
    """Tokens of context, input and output together."""
    max_output: int
    thinking: Literal["adaptive", "budget", "none"]
    """Told by effort, by a budget of tokens, or not at all."""


_CURRENT_GENERATION: Final = ModelProfile(1_000_000, 128_000, "adaptive")
_GENERATION_4_5: Final = ModelProfile(200_000, 64_000, "budget")
PROFILES: Final[Mapping[str, ModelProfile]] = {
    "": ModelProfile(200_000, 32_000, "none"),
    "claude-": ModelProfile(200_000, 32_000, "adaptive"),
    **{f"claude-{line}-5": _CURRENT_GENERATION for line in ("haiku", "sonnet", "opus", "fable", "mythos")},
    **{f"claude-{name}": _CURRENT_GENERATION for name in ("opus-4-6", "opus-4-7", "opus-4-8", "sonnet-4-6")},
    **{f"claude-{name}": _GENERATION_4_5 for name in ("opus-4-5", "sonnet-4-5", "haiku-4-5")},
}
"""By prefix of the model's id; figures of Anthropic's models overview, November 2026."""

THINKING_BUDGET_TOKENS: Final[Mapping[Effort, int]] = {
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "max": 32_768,
}
"""Thinking tokens by effort, for models that know no effort."""
MIN_BUDGET_TOKENS: Final = 1_024


def model_profile(model: str, overrides: Mapping[str, ModelProfile] | None = None) -> ModelProfile:
    """What is known of a model, by the longest prefix that fits; `overrides` come before `PROFILES`."""
    known = {**PROFILES, **(overrides or {})}
    return known[max((prefix for prefix in known if model.startswith(prefix)), key=len)]


def thinking_parameters(
    model: str, effort: Effort | None, max_tokens: int
) -> tuple[ThinkingConfigParam | None, OutputConfigParam | None]:
    """`thinking` and `output_config` of a request; both None leaves the choice to the model.

    Models since 4.6 take `effort` as it is and refuse budgets; those of 4.5 take a budget, which must leave
    room for the answer.  Summaries of thoughts are asked for, as newer models send none by themselves.
    """
    style = model_profile(model).thinking
    if effort is None or style == "none":
        return None, None
    if style == "adaptive":
        return {"type": "adaptive", "display": "summarized"}, {"effort": effort}
    budget = min(THINKING_BUDGET_TOKENS[effort], max_tokens - MIN_BUDGET_TOKENS)
    return ({"type": "enabled", "budget_tokens": budget} if budget >= MIN_BUDGET_TOKENS else None), None
