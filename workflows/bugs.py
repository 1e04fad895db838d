"""Bugs in workflow code: which errors are one, and how a workflow fails of it.

A bug fails its workflow, once its job's row is closed (`workflows.jobs.completion`).  Everything that another
build of this program could do right suspends the workflow task instead: Temporal tries it again and again,
nothing is lost, and a rollback or a correction lets the workflow go on (ADR 26).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ApplicationError, TemporalError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

BUG_CODE: Final = "INTERNAL"
BUG_MESSAGE: Final = "The workflow failed of a bug; its history in Temporal's Web UI has the details."
EXPECTED_ERRORS: Final = (TemporalError, ValidationError, MemoryError)
"""Failures of activities and children, which mean what they say; code that does not fit the history; recorded
data that this build cannot read; a process that ran out of memory."""


def is_bug(error: Exception) -> bool:
    """Whether an error that workflow code raised is a mistake in that code.

    Cancellation, continue-as-new, eviction from the cache and the interruption of a deadlock are no
    `Exception`, so that whoever catches bugs cannot swallow them.
    """
    return not isinstance(error, EXPECTED_ERRORS)


class BugInterceptor(Interceptor):
    """Around every workflow of a worker."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    """A bug fails the workflow, or the update that met it.

    One in a signal's handler is left as it is and suspends the task: nobody waits for a signal's answer, and
    nothing that has happened so far is wrong.
    """

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        with _fail_on_bug():
            return await super().execute_workflow(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        with _fail_on_bug():
            return await super().handle_update_handler(input)


@contextmanager
def _fail_on_bug() -> Iterator[None]:
    """What a bug becomes for Temporal; raises anything else as it is."""
    try:
        yield
    except Exception as error:
        if not is_bug(error):
            raise
        workflow.logger.error("workflow.failed_of_bug", exc_info=error)
        raise ApplicationError(BUG_MESSAGE, type=BUG_CODE, non_retryable=True) from error
