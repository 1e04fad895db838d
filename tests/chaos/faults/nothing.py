"""The fault that is none: what the others are compared with."""

from tests.chaos.environment import FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.fault_table import BASELINE


@fault(BASELINE, "Nothing happens: delays are counted from how long these runs take.")
async def nothing(stage: FaultEnvironment) -> None:
    await stage.accept_all()
