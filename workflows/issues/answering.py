"""An answering session: questions, reviews that may take weeks, and answers for those who do the work."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.issues.answer_delivery import AnswerDelivery, AnswerRecipient
    from activities.issues.answering import AnsweringActivities, QuestionActivities, Review
    from activities.jobs.launch import JobInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from kit.temporal import EXTERNAL, STATUS
    from models.issues.answering_session import AnsweringStatus
    from models.issues.session_question import QuestionStatus
    from models.jobs.job_registry import ANSWERING_WORKFLOW
    from workflows.activity_calls import run_local, run_with_provider_waits
    from workflows.agent.child_session import OpenActivity, run_reading_agent
    from workflows.jobs.completion import publish_result, run_and_close
    from workflows.sandboxes.lifecycle import release_sandbox

FIRST_POLL_INTERVAL, MAX_POLL_INTERVAL = timedelta(seconds=1), timedelta(seconds=30)


@workflow.defn(name=ANSWERING_WORKFLOW)
class AnsweringSessionWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id
        self.unreviewed_count: int | None = None
        """Questions without a review; None before there are any."""
        self.is_accepted = self.is_finished = False

    @workflow.run
    async def run(self, input: JobInput) -> AnsweringStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        plan = await run_local(AnsweringActivities.begin_answering, self.id)
        if plan is None:
            return JobResult(status="cancelled")
        await self._await_scan(plan.issue_session_id)
        await self._read(QuestionActivities.open_asker, plan.time_limit_seconds)
        asked = self.unreviewed_count = await run_local(QuestionActivities.save_questions, self.id)
        workflow.upsert_search_attributes([STATUS.value_set(AnsweringStatus.active)])
        workflow.set_current_details(f"{self.unreviewed_count} questions wait for their reviews.")
        await workflow.wait_condition(lambda: self.is_accepted or self.unreviewed_count == 0)
        await workflow.wait_condition(workflow.all_handlers_finished)
        self.is_finished = True
        await run_local(AnsweringActivities.accept_reviews, self.id)
        workflow.upsert_search_attributes([STATUS.value_set(AnsweringStatus.reviewed)])
        if not asked:
            return JobResult(status="completed")
        await self._read(QuestionActivities.open_answerer, plan.time_limit_seconds)
        for run_id in await run_local(QuestionActivities.save_answers, self.id):
            tell = AnswerRecipient(answering_session_id=self.id, run_id=run_id)
            await run_with_provider_waits(
                self.id,
                AnswerDelivery.send_answers_to_run,
                tell,
                EXTERNAL,
                summary=f"tell {run_id} the answers",
            )
        return JobResult(status="completed")

    async def _await_scan(self, issue_session_id: str) -> None:
        workflow.set_current_details("Waits for the issue session to end.")
        pause = FIRST_POLL_INTERVAL
        while not await run_local(AnsweringActivities.has_scan_ended, issue_session_id):
            await workflow.sleep(pause)
            pause = min(pause * 1.5, MAX_POLL_INTERVAL)

    async def _read(self, open: OpenActivity[QuestionActivities], seconds: int) -> None:
        await run_reading_agent(self.id, open, seconds)

    async def _close(self, ending: JobResult) -> AnsweringStatus:
        self.is_finished = True
        await release_sandbox(self.id)
        await workflow.wait_condition(workflow.all_handlers_finished)
        status = await run_local(AnsweringActivities.close_answering, CloseJob(job_id=self.id, ending=ending))
        publish_result(status, ending.message)
        return status

    @workflow.update
    async def review(self, question_id: str, status: QuestionStatus, correction: str, by: str) -> None:
        """A member's review of a question; the last one lets the session go on."""
        await workflow.wait_condition(lambda: self.is_finished or self.unreviewed_count is not None)
        self._may_still_review()
        left = await run_local(
            AnsweringActivities.record_review,
            Review(question_id=question_id, status=status, correction=correction or None, reviewed_by=by),
        )
        self.unreviewed_count = min(
            self.unreviewed_count or 0, left
        )  # of two at once, the first may hear of its own last

    @workflow.update
    async def accept(self) -> None:
        """Go on; where a review is missing, the assumption holds."""
        await workflow.wait_condition(lambda: self.is_finished or self.unreviewed_count is not None)
        self._may_still_review()
        self.is_accepted = True

    @review.validator
    def _may_review(self, question_id: str, status: QuestionStatus, correction: str, by: str) -> None:
        self._may_still_review()

    @accept.validator
    def _may_accept(self) -> None:
        self._may_still_review()

    def _may_still_review(self) -> None:
        if self.is_finished or self.is_accepted:
            raise ApplicationError("The reviews of this session are closed.", type="CONFLICT")
