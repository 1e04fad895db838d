"""Workflow code runs in the SDK's sandbox, which is not entered for every payload."""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from pydantic import BaseModel
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import _runner as sandbox

from kit.ids import new_id
from kit.workflow_runner import RUNNER

QUEUE = "runner"


class Word(BaseModel):
    text: str


@activity.defn
async def echo(word: Word) -> Word:
    return word


@workflow.defn
class Echoing:
    @workflow.run
    async def run(self, word: Word) -> Word:
        return await workflow.execute_activity(
            echo, word, start_to_close_timeout=timedelta(seconds=10), summary="echo"
        )


@workflow.defn
class Rolling:
    @workflow.run
    async def run(self) -> float:
        return random.random()


@asynccontextmanager
async def working(engine: Client) -> AsyncIterator[None]:
    async with Worker(
        engine, task_queue=QUEUE, workflows=[Echoing, Rolling], activities=[echo], workflow_runner=RUNNER,
        workflow_failure_exception_types=[Exception],
    ):  # fmt: skip
        yield


async def test_what_differs_from_replay_to_replay_is_refused(engine: Client) -> None:
    async with working(engine):
        with pytest.raises(WorkflowFailureError) as failed:
            await engine.execute_workflow(Rolling.run, id=new_id("x"), task_queue=QUEUE)
    assert "random" in str(failed.value.cause)


async def test_payloads_are_read_and_written_outside_the_sandbox(
    engine: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[str] = []
    enter = sandbox._Instance._run_code

    def counted(self: sandbox._Instance, code: str, **extra_globals: object) -> None:
        entered.append(code)
        enter(self, code, **extra_globals)

    async with working(engine):
        monkeypatch.setattr(sandbox._Instance, "_run_code", counted)
        said = await engine.execute_workflow(Echoing.run, Word(text="aye"), id=new_id("x"), task_queue=QUEUE)
    assert said == Word(text="aye")
    assert any("activate" in code for code in entered)
    assert not [code for code in entered if "context" in code]
