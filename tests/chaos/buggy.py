"""A run whose code has a bug that no test has met."""

from temporalio import workflow

from activities.jobs import Ending
from activities.starting import RUN_WORKFLOW, RunInput
from models.run import RunStatus
from worker.registry import WORKFLOWS
from workflows.run import RunWorkflow


@workflow.defn(name=RUN_WORKFLOW)
class BuggyRun(RunWorkflow):
    @workflow.init
    def __init__(self, input: RunInput) -> None:
        super().__init__(input)
        self.nothing = 0

    @workflow.run
    async def run(self, input: RunInput) -> RunStatus:
        return await super().run(input)

    async def _work(self) -> Ending:
        return Ending(status="completed", message=str(1 / self.nothing))


BUGGY: list[type] = [BuggyRun if each is RunWorkflow else each for each in WORKFLOWS]
