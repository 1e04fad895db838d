"""Hints of GitHub's webhooks about one run, read on GitHub until there is no other."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.github.hints import GITHUB_HINTS_WORKFLOW, HINT_SIGNAL, GithubHintActivities, HintsInput
    from kit.temporal import EXTERNAL
    from workflows.persistent_calls import run_until_done


@workflow.defn(name=GITHUB_HINTS_WORKFLOW)
class GithubHintsWorkflow:
    @workflow.init
    def __init__(self, input: HintsInput) -> None:
        self.has_new_hint = False

    @workflow.run
    async def run(self, input: HintsInput) -> None:
        is_more = True
        while is_more or self.has_new_hint:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(input)  # which reads at once, so that no hint is missed
            self.has_new_hint = False
            outcome = await run_until_done(
                GithubHintActivities.apply_hints, input.run_id, EXTERNAL, summary="read hints on GitHub"
            )
            is_more = outcome is True

    @workflow.signal(name=HINT_SIGNAL)
    def note_hint(self) -> None:
        """There is another hint."""
        self.has_new_hint = True
