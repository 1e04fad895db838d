"""Histories that were recorded earlier are replayed by the workflows as they are now."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import JsonValue
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from kit.temporal import CONVERTER
from tests.workflows.changed import CHANGED
from tests.workflows.record import HISTORIES, PLAYS
from tests.workflows.sandbox import SANDBOX
from worker.registry import WORKFLOWS

FILES = sorted(HISTORIES.glob("*.json"))
OF_A_MACHINE = re.compile(rb"/(work|root|tmp|var|usr|opt|Users)/|site-packages|127\.0\.0\.1|\.py\b")
KINDS = {
    "run": "Run",
    "agent-session": "AgentSession",
    "answering-session": "AnsweringSession",
    "issue-session": "IssueSession",
    "merge": "Merge",
    "pull-request-merge": "PullRequestMerge",
    "recurring-task": "RecurringTask",
    "sprint-chain": "SprintChain",
    "work-chain": "WorkChain",
    "sweep": "Sweep",
}


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(workflows=workflows, workflow_runner=SANDBOX, data_converter=CONVERTER)


def recorded(path: Path) -> WorkflowHistory:
    document = json.loads(path.read_text())
    return WorkflowHistory.from_json(document["workflowId"], document["history"])


def kind_of(path: Path) -> str:
    return next(kind for kind in KINDS if path.name.startswith(f"{kind}-"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_recorded_history_is_replayed(path: Path) -> None:
    await replayer(WORKFLOWS).replay_workflow(recorded(path))


@pytest.mark.parametrize("kind", KINDS)
async def test_one_sleep_more_is_noticed(kind: str) -> None:
    path = next(path for path in FILES if kind_of(path) == kind)
    with pytest.raises(workflow.NondeterminismError):
        await replayer(CHANGED).replay_workflow(recorded(path))


def test_every_workflow_has_a_recorded_history() -> None:
    names = {definition.name for each in WORKFLOWS if (definition := workflow._Definition.from_class(each))}
    assert names == set(KINDS.values())
    assert {KINDS[kind_of(path)] for path in FILES} == names


@pytest.mark.parametrize("name", PLAYS)
def test_every_play_was_recorded(name: str) -> None:
    stems = [path.stem for path in FILES]
    assert f"run-{name}" in stems
    assert f"agent-session-{name}-1" in stems


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_history_holds_no_trace_of_the_machine(path: Path) -> None:
    for text in _texts(json.loads(path.read_text())["history"]):
        found = OF_A_MACHINE.search(text)
        assert not found, f"{path.name} holds {found[0]!r} in {text[:200]!r}"


def _texts(value: JsonValue) -> Iterator[bytes]:
    """Every text of a history, those within payloads decoded."""
    if isinstance(value, str):
        yield value.encode()
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "data" and isinstance(item, str):
                yield base64.b64decode(item)
            else:
                yield from _texts(item)
