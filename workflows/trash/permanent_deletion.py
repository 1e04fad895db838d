"""The permanent deletion of one object: first what is outside, then its rows."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.trash.launch import PERMANENT_DELETION_WORKFLOW, Deletion
    from activities.trash.permanent_deletion import PermanentDeletion
    from kit.temporal import EXTERNAL
    from workflows.persistent_calls import run_until_done

STEPS = (
    ("end what is at work on it", PermanentDeletion.end_deleted_work),
    ("kill its sandboxes", PermanentDeletion.kill_deleted_sandboxes),
    ("delete its hidden ref", PermanentDeletion.delete_hidden_ref),
    ("delete its rows", PermanentDeletion.delete_object_rows),
)
"""The rows last: they are what the other steps and a second start go by."""


@workflow.defn(name=PERMANENT_DELETION_WORKFLOW)
class PermanentDeletionWorkflow:
    @workflow.run
    async def run(self, deletion: Deletion) -> None:
        for summary, step in STEPS:
            await run_until_done(step, deletion, EXTERNAL, summary=summary)
