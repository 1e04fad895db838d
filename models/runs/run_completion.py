"""What is told when a run ends: its last event, its issues, and notifications for the project's members."""

from sqlmodel.ext.asyncio.session import AsyncSession

from models.base import JsonObject
from models.event import EventType, append_event
from models.issues.issue import update_issues_of_run
from models.notifications.notification import NotificationType, notify_members
from models.runs.run import Run, RunStatus
from models.verification.verification import end_verifications

_EVENTS = {
    RunStatus.completed: EventType.run_completed,
    RunStatus.failed: EventType.run_failed,
    RunStatus.cancelled: EventType.run_cancelled,
}


async def publish_completion(session: AsyncSession, run: Run) -> None:
    """Write the last event of a run that was just closed; its issues end with it.

    The members are told of all but a cancel.
    """
    await end_verifications(session, run)
    data: JsonObject = {"costUsd": float(run.cost_usd), "prUrl": run.pr_url}
    if run.error_code:
        data |= {"code": run.error_code, "message": run.error_message}
    event = append_event(session, run, _EVENTS[run.status], data)
    await update_issues_of_run(session, run)
    subject: JsonObject = {"runId": run.id, "prUrl": run.pr_url}
    what = f"Run {run.run_number}"
    if run.status is RunStatus.completed:
        body = run.pr_url or "Nothing had to be changed."
        await notify_members(
            session, event, NotificationType.run_completed, f"{what} completed", body, subject
        )
    elif run.status is RunStatus.failed:
        kind = NotificationType.run_failed
        await notify_members(session, event, kind, f"{what} failed", run.error_message or "", subject)
