"""Temporal restarted, away for a minute, and without what it knew."""

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.service import RPCError

from models.event import EventType
from tests.chaos.environment import SIDES, Expected, FaultEnvironment
from tests.chaos.fault import fault
from tests.chaos.faults.workers import SLOW


@fault("temporal-restarted", "Temporal is killed and started again, twice.", alone=True)
async def temporal_restarted(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for _ in range(2):
        await stage.wait(stage.chance.uniform(4, 12))
        await stage.site.parts.restart("temporal", away=stage.chance.uniform(0, 2))


@fault("temporal-away", "Nobody reaches Temporal for a minute; runs are asked for before and meanwhile.")
async def temporal_away(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for side in SIDES:
        stage.link(side, "temporal").take_down()
    await stage.accept()
    await stage.wait(60)


@fault("temporal-slow", "Every piece of data to and from Temporal waits a tenth of a second.")
async def temporal_slow(stage: FaultEnvironment) -> None:
    for side in SIDES:
        stage.link(side, "temporal").delay = 0.1
    await stage.accept_all()
    await stage.settled()


@fault(
    "temporal-forgets",
    "Temporal loses the workflows of a namespace, as from an old backup.",
    expected=Expected.ended,
)
async def temporal_forgets(stage: FaultEnvironment) -> None:
    await stage.accept_all(SLOW)
    for job in stage.accepted:
        await stage.site.until(job.run, EventType.sandbox_running, patience=stage.patience)
    async for each in stage.site.client.list_workflows():
        request = DeleteWorkflowExecutionRequest(
            namespace=stage.site.name, workflow_execution=WorkflowExecution(workflow_id=each.id)
        )
        try:
            await stage.site.client.workflow_service.delete_workflow_execution(request)
        except RPCError:
            continue  # it went with its parent
