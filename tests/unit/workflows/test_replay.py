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

from kit.temporal import DATA_CONVERTER
from tests.support.checkout import ROOT
from tests.support.histories.changed_workflows import CHANGED_WORKFLOWS
from tests.support.histories.record import RECORDED_RUNS
from tests.support.histories.replay_sandbox import REPLAY_RUNNER
from tests.support.histories.versions import (
    CURRENT,
    SEAL,
    checksum_list,
    histories,
    is_sealed,
    seal,
    versions,
)
from worker.registry import WORKFLOWS

FILES = [path for directory in versions() for path in histories(directory)]
OF_TODAY = histories(CURRENT)
each_file = pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
WORKFLOW_CODE = ROOT / "workflows"
PATCHED = re.compile(r"(?:patched|deprecate_patch)\(([^)]*)\)")
VERSIONED = re.compile(r'"\d+\.\d+\.\d+/[a-z-]+"')
FIRST_PATCHES = {'"wake-webhooks"', '"budgets"', "EXPIRED_FILES", '"sprint-chain-stopping"'}
"""From before the first release: they are begun with whatever the settings say."""
OF_A_MACHINE = re.compile(rb"/(work|root|tmp|var|usr|opt|Users)/|site-packages|127\.0\.0\.1|\.py\b")
KINDS = {
    "run": "Run",
    "sandbox": "Sandbox",
    "agent-session": "AgentSession",
    "answering-session": "AnsweringSession",
    "issue-session": "IssueSession",
    "learning-extraction": "LearningExtraction",
    "merge": "Merge",
    "pull-request-merge": "PullRequestMerge",
    "recurring-task": "RecurringTask",
    "sprint-chain": "SprintChain",
    "work-chain": "WorkChain",
    "start-sweep": "StartSweep",
    "reconcile-sweep": "ReconcileSweep",
    "trash-keeping": "TrashKeeping",
    "permanent-deletion": "PermanentDeletion",
    "project-deletion": "ProjectDeletion",
    "webhook": "Webhook",
    "github-hints": "GithubHints",
}


def replayer(workflows: list[type]) -> Replayer:
    return Replayer(workflows=workflows, workflow_runner=REPLAY_RUNNER, data_converter=DATA_CONVERTER)


def recorded(path: Path) -> WorkflowHistory:
    document = json.loads(path.read_text())
    return WorkflowHistory.from_json(document["workflowId"], document["history"])


def kind_of(path: Path) -> str:
    return next(kind for kind in KINDS if path.name.startswith(f"{kind}-"))


@each_file
async def test_a_recorded_history_is_replayed(path: Path) -> None:
    await replayer(WORKFLOWS).replay_workflow(recorded(path))


@pytest.mark.parametrize("kind", KINDS)
async def test_one_sleep_more_is_noticed(kind: str) -> None:
    path = next(path for path in OF_TODAY if kind_of(path) == kind)
    with pytest.raises(workflow.NondeterminismError):
        await replayer(CHANGED_WORKFLOWS).replay_workflow(recorded(path))


def test_every_workflow_has_a_recorded_history() -> None:
    names = {definition.name for each in WORKFLOWS if (definition := workflow._Definition.from_class(each))}
    assert names == set(KINDS.values())
    assert {KINDS[kind_of(path)] for path in OF_TODAY} == names


@pytest.mark.parametrize("name", RECORDED_RUNS)
def test_every_play_was_recorded(name: str) -> None:
    stems = [path.stem for path in OF_TODAY]
    assert f"run-{name}" in stems
    assert f"agent-session-{name}-1" in stems


@each_file
def test_a_history_holds_no_trace_of_the_machine(path: Path) -> None:
    for text in _texts(json.loads(path.read_text())["history"]):
        found = OF_A_MACHINE.search(text)
        assert not found, f"{path.name} holds {found[0]!r} in {text[:200]!r}"


@pytest.mark.parametrize("directory", versions(), ids=lambda directory: directory.name)
def test_the_histories_of_a_released_version_never_change(directory: Path) -> None:
    if is_sealed(directory):
        assert (directory / SEAL).read_text() == checksum_list(directory)
    else:
        assert directory == CURRENT, f"seal {directory.name}: it was released"


def test_a_sealed_directory_is_sealed_once(tmp_path: Path) -> None:
    (tmp_path / "run-completed.json").write_text("{}")
    seal(tmp_path)
    assert is_sealed(tmp_path)
    with pytest.raises(FileExistsError):
        seal(tmp_path)
    (tmp_path / "run-completed.json").write_text("{ }")
    assert (tmp_path / SEAL).read_text() != checksum_list(tmp_path)


@pytest.mark.parametrize("path", sorted(WORKFLOW_CODE.rglob("*.py")), ids=lambda path: path.stem)
def test_a_patch_is_named_by_the_version_that_brought_it(path: Path) -> None:
    for name in PATCHED.findall(path.read_text()):
        assert VERSIONED.fullmatch(name) or name in FIRST_PATCHES, f"{path.name}: patched({name})"


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
