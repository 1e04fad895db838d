"""A model that is limited, overloaded, cut off, malformed, and given too much."""

from typing import Final

from tests.chaos.environment import SMALL, Expected, FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.network_links import response
from tests.support.scenarios import bash, finish, register_scenario, with_faults

FAULTS: Final[dict[str, tuple[str, list[object]]]] = {
    "429": ("The model's rate limit is reached, twice a turn.", [{"status": 429, "retryAfter": 1}] * 2),
    "529": ("The model is overloaded, three times a turn.", [{"status": 529}] * 3),
    "500": ("The model fails, twice a turn.", [{"status": 500}] * 2),
    "cut": ("The connection ends in the middle of the model's answer.", ["cut"]),
    "truncated": ("The model's answer ends early, and nothing says so.", ["truncated"]),
    "max-tokens": ("The model's answer reaches its length limit.", ["maxTokens"]),
    "malformed": ("A piece of the model's answer cannot be read.", ["malformed"]),
}
TOO_LONG: Final = response(
    400,
    '{"type": "error", "error": {"type": "invalid_request_error",'
    ' "message": "prompt is too long: 210000 tokens > 200000 maximum"}}',
)


def failing(name: str, sentence: str, given: list[object]) -> None:
    """Put what the model does before each of its answers into the table."""
    scenario = register_scenario(
        f"model-{name}",
        with_faults(bash("echo once >> once.txt"), *given),
        with_faults(finish("Wrote once.txt."), *given),
    )

    @fault(f"model-{name}", sentence)
    async def model_fails(stage: FaultEnvironment) -> None:
        await stage.accept_all(scenario)


for name, (sentence, given) in FAULTS.items():
    failing(name, sentence, given)


@fault("model-overflows", "The model finds the conversation too long.", expected=Expected.honest)
async def model_overflows(stage: FaultEnvironment) -> None:
    stage.link("worker", "model").refuse(rb"POST /v1/messages ", TOO_LONG, times=stage.tries)
    await stage.accept_all(SMALL)
    await stage.settled()


@fault("model-away", "Nobody reaches the model for two minutes.")
async def model_away(stage: FaultEnvironment) -> None:
    await stage.accept_all(SMALL)
    stage.link("worker", "model").take_down()
    await stage.wait(120)
