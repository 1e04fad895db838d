"""Pull requests on the wire: what runs recorded of theirs, without asking GitHub."""

from kit.wire import Read
from models.run import PrStatus, Run
from models.run_wire import RUN, CiChecks
from models.view import View, example


class PullRequestRead(Read):
    """The pull request of a run; `id` is the run's."""

    model_config = example(
        id=RUN, _id=RUN, runId=RUN, runName="Add a dark mode toggle", repositorySlug="org/repo",
        branchName="codecourier/7-add-a-dark-mode-toggle", prUrl="https://github.com/org/repo/pull/42",
        prNumber=42, prStatus="blocked_on_ci",
        ciChecks={
            "status": "failed", "checkedAt": "2026-01-15T10:30:00.000Z",
            "checks": [
                {"name": "test", "status": "failure", "conclusion": "failure",
                 "url": "https://github.com/org/repo/runs/1"},
            ],
        },
    )  # fmt: skip
    run_id: str
    run_name: str
    repository_slug: str
    branch_name: str | None
    pr_url: str | None
    pr_number: int | None
    pr_status: PrStatus
    ci_checks: CiChecks | None


PULL_REQUESTS = View(
    PullRequestRead,
    Run,
    "Pull request",
    shown={"run_id": "run.id", "run_name": "run.name"},
    where={
        "made": "run.pr_status IS NOT NULL",
        "status": "run.pr_status = %(status)s",
        "run_id": "run.id = %(run_id)s",
    },
)
