"""An issue session: an agent reads the repository and reports what it finds."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.issues.scan import IssueScanActivities
    from activities.jobs.launch import JobInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from models.issues.issue_session import IssueSessionStatus
    from models.jobs.job_registry import ISSUE_SESSION_WORKFLOW
    from workflows.activity_calls import run_local
    from workflows.agent.child_session import run_reading_agent
    from workflows.jobs.completion import publish_result, run_and_close
    from workflows.sandboxes.lifecycle import release_sandbox


@workflow.defn(name=ISSUE_SESSION_WORKFLOW)
class IssueSessionWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id

    @workflow.run
    async def run(self, input: JobInput) -> IssueSessionStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        plan = await run_local(IssueScanActivities.begin_issue_session, self.id)
        if plan is None:
            return JobResult(status="cancelled")
        await run_reading_agent(self.id, IssueScanActivities.open_scan_agent, plan.time_limit_seconds)
        return JobResult(status="completed")

    async def _close(self, ending: JobResult) -> IssueSessionStatus:
        await release_sandbox(self.id)
        status = await run_local(
            IssueScanActivities.close_issue_session, CloseJob(job_id=self.id, ending=ending)
        )
        publish_result(status, ending.message)
        return status
