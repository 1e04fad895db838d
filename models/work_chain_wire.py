"""Work chains on the wire."""

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic.config import JsonDict

from kit.wire import Body, Moment, Read
from models.chain import ChainStatus
from models.issue import Issue
from models.issue_wire import EXAMPLE, ISSUE, MOST, IssueRead
from models.run_wire import RUN, WORKFLOW, RunError
from models.view import View, example, pairs
from models.work_chain import WorkChain

CHAIN = "wc_0198f2cbb1c27d3e8f4a5b6c7d8e9f0a"
_CHAIN: JsonDict = {
    "id": CHAIN, "_id": CHAIN, "title": "Security Fix Chain",
    "description": "Fix all security issues found in audit", "status": "running", "issueIds": [ISSUE],
    "currentIssueIndex": 0, "issueRunIds": [RUN], "issuePrUrls": [], "workflowId": WORKFLOW,
    "githubRepoUrl": "https://github.com/org/repo", "branchName": "fix/security-issues", "error": None,
    "createdAt": "2026-01-15T10:00:00.000Z", "startedAt": "2026-01-15T10:00:00.100Z", "completedAt": None,
}  # fmt: skip
_PLACE = "(array_position(%(id)s::text[], issue.id::text) - 1)"
"""SQL of an issue's index among those that a list is of."""


def _all_different(ids: list[str]) -> list[str]:
    if len(set(ids)) < len(ids):
        raise ValueError("name each issue once")
    return ids


IssueIds = Annotated[list[str], Field(min_length=1, max_length=MOST), AfterValidator(_all_different)]


class WorkChainRead(Read):
    """Issues in the order of their work, one run and one pull request each; lists are aligned by index."""

    model_config = example(**_CHAIN)
    title: str
    description: str | None
    status: ChainStatus
    issue_ids: list[str]
    current_issue_index: int
    issue_run_ids: list[str | None]
    issue_pr_urls: list[str | None]
    workflow_id: str
    github_repo_url: str
    branch_name: str | None
    error: RunError | None
    created_at: Moment
    started_at: Moment | None
    completed_at: Moment | None


class WorkChainCreate(Body):
    model_config = example(
        title="Security Fix Chain", description="Fix all security issues found in audit", issueIds=[ISSUE],
        workflowId=WORKFLOW, githubRepoUrl="https://github.com/org/repo", branchName="fix/security-issues",
    )  # fmt: skip
    title: Annotated[str, Field(min_length=1, max_length=200)]
    description: Annotated[str, Field(max_length=10_000)] | None = None
    issue_ids: IssueIds
    workflow_id: str
    github_repo_url: Annotated[str, Field(max_length=500)] | None = None
    """Where the code is; the project's repository when it is left out."""
    branch_name: Annotated[str, Field(min_length=1, max_length=250)] | None = None
    """The branch that the first issue's run works from."""


class WorkChainRef(Body):
    model_config = example(chainId=CHAIN)
    chain_id: str


class ChainIssueRead(IssueRead):
    """An issue and its index in a chain."""

    model_config = example(**EXAMPLE, index=0)
    index: int


_COLUMNS = {
    "error": f"CASE WHEN error_code IS NOT NULL THEN {pairs(code='error_code', message='error_message')} END",
}
WORK_CHAINS = View(WorkChainRead, WorkChain, "Work chain", shown=_COLUMNS)
CHAIN_ISSUES = View(ChainIssueRead, Issue, "Issue", keys=("index",), shown={"index": _PLACE})
"""Of the issues that `id` lists, in its order."""
