"""An extraction: an agent reads the transcript of an ended run and reports what is to be learned from it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs.launch import JobInput
    from activities.jobs.lifecycle import CloseJob, JobResult
    from activities.learnings.extractions import ExtractionActivities
    from kit.temporal import EXTERNAL
    from models.jobs.job_registry import EXTRACTION_WORKFLOW
    from models.learnings.extraction import ExtractionStatus
    from workflows.activity_calls import run_local, run_with_provider_waits
    from workflows.agent.child_session import start_session
    from workflows.agent.limits import SessionInput
    from workflows.jobs.completion import publish_result, run_and_close


@workflow.defn(name=EXTRACTION_WORKFLOW)
class LearningExtractionWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id

    @workflow.run
    async def run(self, input: JobInput) -> ExtractionStatus:
        return await run_and_close(self._work(), self._close)

    async def _work(self) -> JobResult:
        plan = await run_local(ExtractionActivities.begin_extraction, self.id)
        if plan is None:
            return JobResult(status="cancelled")
        opened = await run_with_provider_waits(
            self.id, ExtractionActivities.open_extractor, self.id, EXTERNAL, summary="read the transcript"
        )
        workflow.set_current_details("An agent looks for learnings in the transcript of the run.")
        session = await start_session(
            SessionInput(
                session_id=opened.session_id,
                job_id=self.id,
                label=opened.label,
                max_turns=opened.max_turns,
                waits_for_money=False,  # nobody waits for its end, and nobody could raise its cap
                time_limit_seconds=plan.time_limit_seconds,
            )
        )
        await session
        return JobResult(status="completed")

    async def _close(self, ending: JobResult) -> ExtractionStatus:
        status = await run_local(
            ExtractionActivities.close_extraction, CloseJob(job_id=self.id, ending=ending)
        )
        publish_result(status, ending.message)
        return status
