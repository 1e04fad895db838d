"""Errors that nobody foresaw are tried again, told to the job, and given up in the end."""

from datetime import timedelta

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities import errors
from activities.jobs.lifecycle import JobWait
from activities.jobs.resumption import Resumption
from kit.ids import new_id
from worker.interceptors import ActivityInterceptor

QUEUE = "retrying"
QUICKLY = RetryPolicy(
    initial_interval=timedelta(milliseconds=10), maximum_interval=timedelta(milliseconds=10)
)
SOUND_FROM = 4


@activity.defn
async def stumble() -> int:
    """Fails of a bug until a corrected version takes the fourth attempt."""
    attempt = activity.info().attempt
    if attempt < SOUND_FROM:
        raise KeyError("secret")
    return attempt


@workflow.defn
class Stumbling:
    @workflow.run
    async def run(self, is_local: bool) -> int:
        if is_local:
            return await workflow.execute_local_activity(
                stumble, start_to_close_timeout=timedelta(seconds=10), retry_policy=QUICKLY
            )
        return await workflow.execute_activity(
            stumble, start_to_close_timeout=timedelta(seconds=10), retry_policy=QUICKLY
        )


async def _resumed(_: Resumption) -> None:
    """No worker is lost here."""


def working(engine: Client, told: list[JobWait]) -> Worker:
    async def tell(wait: JobWait) -> None:
        told.append(wait)

    return Worker(
        engine,
        task_queue=QUEUE,
        workflows=[Stumbling],
        activities=[stumble],
        workflow_runner=UnsandboxedWorkflowRunner(),
        interceptors=[ActivityInterceptor(tell, _resumed)],
    )


@pytest.mark.parametrize("is_local", [False, True])
async def test_a_bug_that_is_corrected_in_time_does_no_harm(engine: Client, is_local: bool) -> None:
    told: list[JobWait] = []
    async with working(engine, told):
        run_id = new_id("r")
        assert (
            await engine.execute_workflow(Stumbling.run, is_local, id=run_id, task_queue=QUEUE) == SOUND_FROM
        )
    message = "stumble is tried again: An unexpected error (KeyError); the worker's log has the details."
    assert told == [JobWait(job_id=run_id, code="RETRYING", message=message)] * (SOUND_FROM - 2)


@pytest.mark.parametrize("is_local", [False, True])
async def test_a_bug_that_stays_is_given_up(
    engine: Client, monkeypatch: pytest.MonkeyPatch, is_local: bool
) -> None:
    monkeypatch.setattr(errors, "UNEXPECTED_ERROR_TIMEOUT", timedelta(0))
    monkeypatch.setattr(errors, "MIN_UNEXPECTED_ERROR_ATTEMPTS", SOUND_FROM - 1)
    async with working(engine, []):
        with pytest.raises(WorkflowFailureError) as failed:
            await engine.execute_workflow(Stumbling.run, is_local, id=new_id("r"), task_queue=QUEUE)
    cause: BaseException | None = failed.value.cause
    if isinstance(cause, ActivityError):  # which local activities are not wrapped in
        cause = cause.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("INTERNAL", True)
    assert "secret" not in str(cause)
