"""An issue session: an agent reads the repository and reports what it finds."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.issues.scan import IssueSessions
    from activities.jobs.job_launch import JobInput
    from activities.jobs.lifecycle import CloseJob, Ending
    from models.issues.issue_session import IssueSessionStatus
    from models.jobs.job_registry import ISSUE_SESSION_WORKFLOW
    from workflows.activity_calls import instantly
    from workflows.agent.child_session import read_repository
    from workflows.jobs.completion import played, show_end
    from workflows.sandboxes.lifecycle import release_sandbox


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
