"""The deletion of a project: whatever it has outside, then its rows, then what the engine remembers."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.trash.launch import PROJECT_DELETION_WORKFLOW
    from activities.trash.project_deletion import ProjectDeletion
    from kit.temporal import EXTERNAL, LONG_RUNNING
    from workflows.persistent_calls import run_until_done

STEPS = (
    ("stop its schedules", ProjectDeletion.stop_project_schedules),
    ("end its work", ProjectDeletion.end_project_work),
    ("end its webhooks", ProjectDeletion.end_project_webhooks),
    ("kill its sandboxes", ProjectDeletion.kill_project_sandboxes),
    ("delete its hidden refs", ProjectDeletion.delete_project_refs),
    ("delete its files", ProjectDeletion.delete_project_files),
)
"""What a project has outside its rows, in the order in which it goes: each step takes the project's id."""
RETRY_PAUSE = timedelta(seconds=1)


@workflow.defn(name=PROJECT_DELETION_WORKFLOW)
class ProjectDeletionWorkflow:
    @workflow.run
    async def run(self, project_id: str) -> None:
        while not await self._delete(project_id):
            await workflow.sleep(RETRY_PAUSE)
        await run_until_done(
            ProjectDeletion.delete_project_histories,
            project_id,
            EXTERNAL,
            summary="delete what the engine remembers",
        )

    async def _delete(self, project_id: str) -> bool:
        """False when something was begun meanwhile, by a request that came before the deletion."""
        for summary, step in STEPS:
            await run_until_done(step, project_id, EXTERNAL, summary=summary)
        done = await run_until_done(
            ProjectDeletion.delete_project_rows, project_id, LONG_RUNNING, summary="delete its rows"
        )
        return done is True
