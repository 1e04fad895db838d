"""A run of 300 turns, each with a tool call."""

from typing import Final

from models import Run
from models.blueprint import PipelineStep
from models.persona import StepRole
from tests.runs.scenarios import bash, finish, scripted
from tests.runs.site import Site

TURNS: Final = 300
MARATHON: Final = scripted("marathon", {**bash("date >> dates.txt"), "repeat": TURNS - 1}, finish("Arrived."))


async def start(site: Site) -> Run:
    steps = [PipelineStep(role=StepRole.designer, label="Run", max_turns=TURNS)]
    return await site.start(f"Marathon {MARATHON}", steps)
