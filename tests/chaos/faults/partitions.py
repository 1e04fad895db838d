"""Partitions: between two parts nothing passes, in one way or in both, for a while."""

from models.event import EventType
from tests.chaos.environment import LINKS, FaultEnvironment, Server, Side
from tests.chaos.fault import fault
from tests.chaos.faults.workers import SLOW
from tests.chaos.network_links import Direction

WAYS = ((Direction.there,), (Direction.back,), (Direction.there, Direction.back))
SECONDS = 30.0


def partition(side: Side, server: Server) -> None:
    """Put the partition between these two into the table."""

    @fault(f"partition-{side}-{server}", f"Between the {side} and {server} nothing passes, one way or both.")
    async def partitioned(stage: FaultEnvironment) -> None:
        await stage.accept_all(SLOW)
        await stage.site.until(stage.accepted[0].run, EventType.run_started, patience=stage.patience)
        for way in stage.chance.sample(WAYS, len(WAYS)):
            stage.link(side, server).hold(*way)
            await stage.wait(SECONDS)
            stage.link(side, server).heal()
            await stage.wait(stage.chance.uniform(2, 8))


for side, servers in LINKS.items():
    for server in servers:
        partition(side, server)
