"""An issue session: an agent reads the repository and reports what it finds."""

import asyncio

from temporalio import workflow
from temporalio.exceptions import FailureError

with workflow.unsafe.imports_passed_through():
    from activities.issue_sessions import IssueSessions
    from activities.job_starting import ISSUE_SESSION_WORKFLOW, JobInput
    from activities.jobs import CloseJob, Ending
    from kit.temporal import STATUS
    from models.issue_session import IssueSessionStatus
    from workflows.calls import instantly
    from workflows.conversing import read_repository
    from workflows.ending import BUG, ending_of, said_at_last
    from workflows.sandbox import release_sandbox


@workflow.defn(name=ISSUE_SESSION_WORKFLOW)
class IssueSessionWorkflow:
    @workflow.run
    async def run(self, input: JobInput) -> IssueSessionStatus:
        ending = BUG
        try:
            ending = await self._work(input.job_id)
        except (FailureError, asyncio.CancelledError) as error:
            ending = ending_of(error)
        finally:
            status = await said_at_last(self._close(input.job_id, ending))
        return status

    async def _work(self, id: str) -> Ending:
        plan = await instantly(IssueSessions.begin_issue_session, id)
        if plan is None:
            return Ending(status="cancelled")
        await read_repository(id, IssueSessions.open_scout, plan.time_limit_seconds)
        return Ending(status="completed")

    async def _close(self, id: str, ending: Ending) -> IssueSessionStatus:
        await release_sandbox(id)
        status = await instantly(IssueSessions.close_issue_session, CloseJob(job_id=id, ending=ending))
        workflow.upsert_search_attributes([STATUS.value_set(status)])
        workflow.set_current_details(f"{status.capitalize()}. {ending.message or ''}")
        return status
