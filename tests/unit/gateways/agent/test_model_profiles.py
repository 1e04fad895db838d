"""What each model is told about thinking, and how much it is taken to hold."""

from typing import get_args

import pytest
from anthropic.types import Model

from gateways.anthropic.model_profiles import (
    THINKING_BUDGET_TOKENS,
    Effort,
    ModelProfile,
    model_profile,
    thinking_parameters,
)

EFFORTS: tuple[Effort, ...] = get_args(Effort)
TODAY = ["claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-6", "claude-fable-5-1"]


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("model", TODAY)
def test_todays_models_are_told_an_effort(model: str, effort: Effort) -> None:
    adaptive = {"type": "adaptive", "display": "summarized"}
    assert thinking_parameters(model, effort, 100) == (adaptive, {"effort": effort})
    assert model_profile(model).window == 1_000_000


@pytest.mark.parametrize("effort", EFFORTS)
def test_models_of_4_5_are_given_a_budget_below_max_tokens(effort: Effort) -> None:
    enabled = {"type": "enabled", "budget_tokens": THINKING_BUDGET_TOKENS[effort]}
    assert thinking_parameters("claude-haiku-4-5-20251001", effort, 64_000) == (enabled, None)
    tight, _ = thinking_parameters("claude-opus-4-5", effort, 2_500)
    assert tight == {"type": "enabled", "budget_tokens": 1_476}
    assert thinking_parameters("claude-opus-4-5", effort, 2_000) == (None, None)


@pytest.mark.parametrize("model", [*TODAY, "claude-opus-4-5", "gpt-9"])
def test_without_an_effort_the_choice_is_the_models(model: str) -> None:
    assert thinking_parameters(model, None, 8_000) == (None, None)


def test_the_longest_prefix_wins_and_anything_can_be_overridden() -> None:
    assert model_profile("claude-sonnet-4-5-20250929").window == 200_000
    assert model_profile("claude-sonnet-4-6").window == 1_000_000
    assert model_profile("claude-nova-7") == ModelProfile(200_000, 32_000, "adaptive")
    assert model_profile("qwen3") == ModelProfile(200_000, 32_000, "none")
    mine = {"qwen3": ModelProfile(32_000, 4_000, "none"), "claude-sonnet-5-5": ModelProfile(9, 9, "none")}
    assert model_profile("qwen3-coder", mine).window == 32_000
    assert model_profile("claude-sonnet-5-5", mine).window == 9
    assert model_profile("claude-sonnet-5", mine).window == 1_000_000


def test_every_model_that_the_sdk_names_is_known() -> None:
    for model in get_args(get_args(Model)[0]):
        if model != "claude-mythos-preview":  # ended in June 2026
            assert model_profile(model).window in (200_000, 1_000_000)
            assert model_profile(model) != model_profile("claude-"), model
