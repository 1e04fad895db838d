"""The answer is lost after the effect: the server has done what it was asked for, and nobody hears of it."""

from typing import Final, NamedTuple

from tests.chaos.environment import FaultEnvironment, Server
from tests.chaos.fault import fault


class Effect(NamedTuple):
    server: Server
    request: bytes
    """How the request that has the effect begins."""


EFFECTS: Final = {
    "pull-request": Effect("github", rb"POST /api/v3/repos/\S+/pulls "),
    "push": Effect("git", rb"POST /\S+/git-receive-pack "),
    "sandbox": Effect("sandboxes", rb"POST (/v2)?/sandboxes "),
    "kill": Effect("sandboxes", rb"DELETE (/v2)?/sandboxes/"),
    "turn": Effect("model", rb"POST /v1/messages"),
    "tool-call": Effect("sandboxes", rb"POST /process\.Process/Start"),
}


def lost_answer(name: str, effect: Effect) -> None:
    """Put the loss of this effect's answers into the table."""

    @fault(f"answer-lost-{name}", f"The answer is lost after the effect: {name}.")
    async def answer_lost(stage: FaultEnvironment) -> None:
        lost = stage.link("worker", effect.server).lose_answer(effect.request, times=stage.tries)
        await stage.accept_all()
        await stage.until(lambda: lost.seen > 0, "no answer was lost: the request has another form")


for name, effect in EFFECTS.items():
    lost_answer(name, effect)
