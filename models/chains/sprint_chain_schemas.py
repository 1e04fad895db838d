"""Sprint chains on the wire."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.schemas import Body, CapUsd, Read, UtcTimestamp, Wire
from models.budgets.schemas import BUDGET, BudgetRead, budget_sql
from models.chains.chain import CHAIN_ERROR, ChainError, ChainStatus
from models.chains.sprint_chain import SprintChain
from models.json_view import JsonView, example, json_object_sql
from models.runs.run import RunStatus

CHAIN = "sc_0198f2c9b1c27d3e8f4a5b6c7d8e9f0a"
WORKFLOW = "wf_0198f2c4a1b27c3d8e4f5a6b7c8d9e0f"
MAX_SPRINTS = 1_000
"""Sprints of one chain."""
_CHAIN: JsonDict = {
    "id": CHAIN,
    "_id": CHAIN,
    "status": "running",
    "sprintRange": [1, 5],
    "currentSprintIndex": 2,
    "resumeFromSprint": None,
    "sprintPrUrls": ["https://github.com/org/repo/pull/10", "https://github.com/org/repo/pull/11"],
    "sprintRunIds": ["r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d", "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2e"],
    "sprints": [
        {
            "index": 0,
            "runId": "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2d",
            "status": "completed",
            "prUrl": "https://github.com/org/repo/pull/10",
        },
        {
            "index": 1,
            "runId": "r_0198f2c5d3e47a1b9c2d4e6f8a0b1c2e",
            "status": "completed",
            "prUrl": "https://github.com/org/repo/pull/11",
        },
    ],
    "isStopping": False,
    "workflowId": WORKFLOW,
    "prompt": "Migrate all handlers",
    "githubRepoUrl": "https://github.com/org/repo",
    "branchName": None,
    "error": None,
    "budget": BUDGET,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "startedAt": "2026-01-15T10:00:00.100Z",
    "completedAt": None,
}


def _require_ascending(range_: list[int]) -> list[int]:
    start, end = range_
    if end < start or end - start >= MAX_SPRINTS:
        raise ValueError(f"give [start, end] with start ≤ end and at most {MAX_SPRINTS} sprints")
    return range_


SprintRange = Annotated[
    list[Annotated[int, Field(ge=0, le=1_000_000)]],
    Field(min_length=2, max_length=2),
    AfterValidator(_require_ascending),
]
Index = Annotated[int, Field(ge=0, lt=MAX_SPRINTS)]


class SprintRead(Wire):
    """One sprint of a chain that has begun."""

    index: int
    """Counted from 0."""
    run_id: str
    """The run that works, or worked last, on the sprint."""
    status: RunStatus | None
    """The run's status; null when the run was deleted."""
    pr_url: str | None
    """The pull request of a completed sprint."""


class SprintChainRead(Read):
    """Sprints `start` to `end`, one run and one pull request each."""

    model_config = example(**_CHAIN)
    status: ChainStatus
    """How far it is."""
    sprint_range: list[int]
    """The numbers of the first and the last sprint."""
    current_sprint_index: int
    """The index of the sprint that it is at, or that comes next, from 0; the last one when all are done."""
    resume_from_sprint: int | None
    """The index of the sprint that this attempt began at; null if it began with the first."""
    sprint_pr_urls: list[str]
    """The pull requests of completed sprints, in the order of the sprints; `sprints` has their positions."""
    sprint_run_ids: list[str | None]
    """The runs by the index of their sprint; null for a sprint that was passed over."""
    sprints: list[SprintRead]
    """The sprints that have begun, by index."""
    is_stopping: bool
    """Whether the chain was deleted while a sprint was active: it ends when the sprint has finished."""
    workflow_id: str
    """The workflow that its runs are of."""
    prompt: str
    """The prompt of its sprints, as it was given."""
    github_repo_url: str
    """The repository that it works on."""
    branch_name: str | None
    """The branch that the sprints work from and their pull requests go to."""
    error: ChainError | None
    """Why it failed, and with which run; null unless it has."""
    budget: BudgetRead
    """What its runs may cost together, have cost, and may cost just now."""
    created_at: UtcTimestamp
    """When it was asked for."""
    started_at: UtcTimestamp | None
    """When it was first begun; null until then."""
    completed_at: UtcTimestamp | None
    """When it ended, whatever came of it; null until then, and again while it is tried again."""


class SprintChainCreate(Body):
    """`{{sprint}}` and `{{sprintCount}}` in the prompt stand for a sprint's number and how many there are."""

    model_config = example(
        workflowId=WORKFLOW,
        sprintRange=[1, 5],
        prompt="Migrate the handlers of part {{sprint}}",
        githubRepoUrl="https://github.com/org/repo",
        branchName="feature/validation-migration",
    )
    workflow_id: str
    """The workflow that its runs shall be of."""
    sprint_range: SprintRange
    """The numbers of the first and the last sprint, `[start, end]`, from 0 to 1,000,000; at most 1,000
    sprints."""
    prompt: Annotated[str, Field(min_length=1, max_length=100_000, pattern=r"\S")]
    """What each sprint is asked to do, at most 100,000 characters."""
    github_repo_url: Annotated[str, Field(max_length=500)]
    """The repository to work on."""
    branch_name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """The branch that the sprints work from and their pull requests go to; made from the default branch if it
    does not exist."""
    resume_from_sprint: Index | None = None
    """The index of the sprint to begin at, from 0; the first when it is left out."""
    max_cost_usd: CapUsd | None = None
    """What its runs may cost together, in US dollars; no limit when it is left out."""


class SprintChainResume(Body):
    """Where a paused or failed sprint chain shall go on."""

    model_config = example(resumeFromSprint=2)
    resume_from_sprint: Index | None = None
    """The index of the sprint to go on from, from 0; when it is left out, the next one of a paused chain, the
    first one that has not completed of a failed chain."""


_SPRINT = json_object_sql(
    index="(ordinal - 1)",
    runId="run_id",
    status="run.status",
    prUrl="(sprint_pr_urls ->> (ordinal - 1)::int)",
)
_COLUMNS = {
    "budget": budget_sql("sprint_chain"),
    "current_sprint_index": "least(current_sprint_index, sprint_end - sprint_start)",
    "sprint_range": "json_build_array(sprint_start, sprint_end)",
    "sprint_pr_urls": """(
        SELECT coalesce(json_agg(url ORDER BY ordinal), '[]')
        FROM jsonb_array_elements_text(sprint_pr_urls) WITH ORDINALITY AS urls (url, ordinal)
        WHERE url IS NOT NULL
    )""",
    "sprints": f"""(
        SELECT coalesce(json_agg({_SPRINT} ORDER BY ordinal), '[]')
        FROM jsonb_array_elements_text(sprint_run_ids) WITH ORDINALITY AS begun (run_id, ordinal)
        LEFT JOIN run ON run.id = run_id AND run.deleted_at IS NULL
        WHERE run_id IS NOT NULL
    )""",  # noqa: S608
    "error": CHAIN_ERROR,
}
SPRINT_CHAINS = JsonView(SprintChainRead, SprintChain, "Sprint chain", shown=_COLUMNS)
