"""How what deletes for good calls its activities: until it is done, or until trying again is useless."""

from datetime import timedelta
from typing import Final, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError
from temporalio.types import MethodAsyncSingleParam

from activities.errors import PROVIDER_LIMIT
from kit.temporal import ActivityOptions
from workflows.activity_calls import MAX_BACKOFF_SECONDS, application_error

S = TypeVar("S")
P = TypeVar("P")
R = TypeVar("R")
PERMANENT_REFUSALS: Final = {
    "CREDENTIAL_MISSING",
    "CREDENTIAL_REFUSED",
    "REPOSITORY_NOT_ALLOWED",
    "UPSTREAM_REFUSED",
}
"""What an outside system will not let us delete: it is left there, and all else goes all the same."""


async def run_until_done(
    activity: MethodAsyncSingleParam[S, P, R], arg: P, patience: ActivityOptions, *, summary: str
) -> R | None:
    """The activity's result; None when the outside system refuses for good.

    A provider's limit is waited for.  Raises ActivityError for what took longer than its patience, and for
    bugs: the sweep of the trash starts the workflow again.
    """
    workflow.set_current_details(summary)
    while True:
        try:
            result: R = await workflow.execute_activity_method(activity, arg, **patience, summary=summary)
        except ActivityError as error:
            failure = application_error(error)
            if failure is None or failure.type not in {PROVIDER_LIMIT, *PERMANENT_REFUSALS}:
                raise
            if failure.type in PERMANENT_REFUSALS:
                workflow.logger.warning("%s: left, as it was refused: %s", summary, failure.message)
                return None
            named = failure.details[0] if failure.details else None
            await workflow.sleep(
                timedelta(seconds=float(named) if named is not None else MAX_BACKOFF_SECONDS)
            )
        else:
            return result
