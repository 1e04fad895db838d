"""Sprint chains on the wire."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read
from models.chain import ChainStatus
from models.run_wire import RunError
from models.sprint_chain import SprintChain
from models.view import View, example, pairs

CHAIN = "sc_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
LONGEST = 1_000
"""Sprints of one chain."""
_CHAIN: JsonDict = {
    "id": CHAIN, "_id": CHAIN, "status": "running", "sprintRange": [1, 5], "currentSprintIndex": 2,
    "resumeFromSprint": None,
    "sprintPrUrls": ["https://github.com/org/repo/pull/10", "https://github.com/org/repo/pull/11"],
    "sprintRunIds": ["r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d", "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2e"],
    "workflowId": WORKFLOW, "prompt": "Migrate all handlers", "githubRepoUrl": "https://github.com/org/repo",
    "branchName": None, "error": None, "createdAt": "2026-01-15T10:00:00.000Z",
    "startedAt": "2026-01-15T10:00:00.100Z", "completedAt": None,
}  # fmt: skip


def _in_order(range_: list[int]) -> list[int]:
    start, end = range_
    if end < start or end - start >= LONGEST:
        raise ValueError(f"give [start, end] with start ≤ end and at most {LONGEST} sprints")
    return range_


SprintRange = Annotated[
    list[Annotated[int, Field(ge=0, le=1_000_000)]],
    Field(min_length=2, max_length=2),
    AfterValidator(_in_order),
]
Index = Annotated[int, Field(ge=0, lt=LONGEST)]


class SprintChainRead(Read):
    """Sprints `start` to `end`, one run and one pull request each; lists are aligned by sprint index."""

    model_config = example(**_CHAIN)
    status: ChainStatus
    sprint_range: list[int]
    current_sprint_index: int
    resume_from_sprint: int | None
    sprint_pr_urls: list[str | None]
    sprint_run_ids: list[str | None]
    workflow_id: str
    prompt: str
    github_repo_url: str
    branch_name: str | None
    error: RunError | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None


class SprintChainCreate(Body):
    """`{{sprint}}` and `{{sprintCount}}` in the prompt stand for a sprint's number and how many there are."""

    model_config = example(
        workflowId=WORKFLOW, sprintRange=[1, 5], prompt="Migrate the handlers of part {{sprint}}",
        githubRepoUrl="https://github.com/org/repo", branchName="feature/validation-migration",
    )  # fmt: skip
    workflow_id: str
    sprint_range: SprintRange
    prompt: Annotated[str, Field(min_length=1, max_length=100_000)]
    github_repo_url: Annotated[str, Field(max_length=500)]
    branch_name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    resume_from_sprint: Index | None = None


class SprintChainResume(Body):
    model_config = example(resumeFromSprint=2)
    resume_from_sprint: Index | None = None


_COLUMNS = {
    "sprint_range": "json_build_array(sprint_start, sprint_end)",
    "error": f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END",
}
SPRINT_CHAINS = View(SprintChainRead, SprintChain, "Sprint chain", shown=_COLUMNS)
