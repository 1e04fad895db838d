"""An issue session: an agent reads the repository and reports what it finds."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.issue_sessions import IssueSessions
    from activities.job_starting import JobInput
    from activities.jobs import CloseJob, Ending
    from models.issue_session import IssueSessionStatus
    from models.job_kinds import ISSUE_SESSION_WORKFLOW
    from workflows.calls import instantly
    from workflows.conversing import read_repository
    from workflows.ending import played, show_end
    from workflows.sandbox import release_sandbox


@workflow.defn(name=ISSUE_SESSION_WORKFLOW)
class IssueSessionWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id

    @workflow.run
    async def run(self, input: JobInput) -> IssueSessionStatus:
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        plan = await instantly(IssueSessions.begin_issue_session, self.id)
        if plan is None:
            return Ending(status="cancelled")
        await read_repository(self.id, IssueSessions.open_scout, plan.time_limit_seconds)
        return Ending(status="completed")

    async def _close(self, ending: Ending) -> IssueSessionStatus:
        await release_sandbox(self.id)
        status = await instantly(IssueSessions.close_issue_session, CloseJob(job_id=self.id, ending=ending))
        show_end(status, ending.message)
        return status
