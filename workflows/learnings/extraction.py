"""An extraction: an agent reads the transcript of an ended run and reports what is to be learned from it."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.jobs.job_launch import JobInput
    from activities.jobs.lifecycle import CloseJob, Ending
    from activities.learnings.extractions import LearningExtractions
    from kit.temporal import PATIENT
    from models.jobs.job_registry import EXTRACTION_WORKFLOW
    from models.learnings.extraction import ExtractionStatus
    from workflows.activity_calls import instantly, patiently
    from workflows.agent.child_session import begin_session
    from workflows.agent.limits import SessionInput
    from workflows.jobs.completion import played, show_end


@workflow.defn(name=EXTRACTION_WORKFLOW)
class LearningExtractionWorkflow:
    @workflow.init
    def __init__(self, input: JobInput) -> None:
        self.id = input.job_id

    @workflow.run
    async def run(self, input: JobInput) -> ExtractionStatus:
        return await played(self._work(), self._close)

    async def _work(self) -> Ending:
        plan = await instantly(LearningExtractions.begin_extraction, self.id)
        if plan is None:
            return Ending(status="cancelled")
        opened = await patiently(
            self.id, LearningExtractions.open_extractor, self.id, PATIENT, summary="read the transcript"
        )
        workflow.set_current_details("An agent looks for learnings in the transcript of the run.")
        session = await begin_session(
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
        return Ending(status="completed")

    async def _close(self, ending: Ending) -> ExtractionStatus:
        status = await instantly(
            LearningExtractions.close_extraction, CloseJob(job_id=self.id, ending=ending)
        )
        show_end(status, ending.message)
        return status
