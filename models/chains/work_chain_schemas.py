"""Work chains on the wire."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.schemas import Body, CapUsd, Read, Title, UtcTimestamp
from models.budgets.schemas import BUDGET, BudgetRead, budget_sql
from models.chains.chain import CHAIN_ERROR, ChainError, ChainStatus
from models.chains.work_chain import WorkChain
from models.issues.issue import Issue
from models.issues.issue_schemas import EXAMPLE, ISSUE, MAX_ISSUE_IDS, IssueRead
from models.json_view import JsonView, example
from models.runs.run_schemas import RUN, WORKFLOW

CHAIN = "wc_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
_CHAIN: JsonDict = {
    "id": CHAIN,
    "_id": CHAIN,
    "title": "Security Fix Chain",
    "description": "Fix all security issues found in audit",
    "status": "running",
    "issueIds": [ISSUE],
    "currentIssueIndex": 0,
    "issueRunIds": [RUN],
    "issuePrUrls": [],
    "workflowId": WORKFLOW,
    "githubRepoUrl": "https://github.com/org/repo",
    "branchName": "fix/security-issues",
    "error": None,
    "budget": BUDGET,
    "createdAt": "2026-01-15T10:00:00.000Z",
    "startedAt": "2026-01-15T10:00:00.100Z",
    "completedAt": None,
}
_ISSUE_INDEX = "(array_position(%(id)s::text[], issue.id::text) - 1)"
"""SQL of an issue's index among those that a list is of."""


def _require_unique(ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise ValueError("name each issue once")
    return ids


IssueIds = Annotated[
    list[str], Field(min_length=1, max_length=MAX_ISSUE_IDS), AfterValidator(_require_unique)
]


class WorkChainRead(Read):
    """Issues in the order of their work, one run and one pull request each; lists are aligned by index."""

    model_config = example(**_CHAIN)
    title: str
    """What people call it."""
    description: str | None
    """What it is for; null if nobody said."""
    status: ChainStatus
    """How far it is."""
    issue_ids: list[str]
    """Its issues, in the order of their work."""
    current_issue_index: int
    """The index of the issue that it is at, from 0."""
    issue_run_ids: list[str | None]
    """The runs by the index of their issue; null for an issue that was passed over."""
    issue_pr_urls: list[str | None]
    """The pull requests by the index of their issue; null for an issue without one."""
    workflow_id: str
    """The workflow that its runs are of."""
    github_repo_url: str
    """The repository that it works on."""
    branch_name: str | None
    """The branch that the first issue's run works from and that pull requests go to; null for the workflow's
    base branch."""
    error: ChainError | None
    """Why it failed, and with which run; null unless it has."""
    budget: BudgetRead
    """What its runs may cost together, have cost, and may cost just now."""
    created_at: UtcTimestamp
    """When it was created."""
    started_at: UtcTimestamp | None
    """When it was first begun; null until then."""
    completed_at: UtcTimestamp | None
    """When it ended, whatever came of it; null until then, and again while it is tried again."""


class WorkChainCreate(Body):
    """What a client says to create a work chain, which waits until it is started."""

    model_config = example(
        title="Security Fix Chain",
        description="Fix all security issues found in audit",
        issueIds=[ISSUE],
        workflowId=WORKFLOW,
        githubRepoUrl="https://github.com/org/repo",
        branchName="fix/security-issues",
    )
    title: Title
    """What people call it."""
    description: Annotated[str, Field(max_length=10_000)] | None = None
    """What it is for, at most 10,000 characters."""
    issue_ids: IssueIds
    """Its issues, at most 100 and each once, in the order of their work."""
    workflow_id: str
    """The workflow that its runs shall be of."""
    github_repo_url: Annotated[str, Field(max_length=500)] | None = None
    """Where the code is; the project's repository when it is left out."""
    branch_name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """The branch that the first issue's run works from and that pull requests go to; made from the default
    branch if it does not exist."""
    max_cost_usd: CapUsd | None = None
    """What its runs may cost together, in US dollars; no limit when it is left out."""


class WorkChainRef(Body):
    """Names a work chain."""

    model_config = example(chainId=CHAIN)
    chain_id: str
    """The work chain's id."""


class ChainIssueRead(IssueRead):
    """An issue and its index in a chain."""

    model_config = example(**EXAMPLE, index=0)
    index: int
    """Its index in the chain, from 0."""


WORK_CHAINS = JsonView(
    WorkChainRead, WorkChain, "Work chain", shown={"budget": budget_sql("work_chain"), "error": CHAIN_ERROR}
)
CHAIN_ISSUES = JsonView(ChainIssueRead, Issue, "Issue", keys=("index",), shown={"index": _ISSUE_INDEX})
"""Of the issues that `id` lists, in its order."""
