"""Pull requests on the wire: what runs recorded of theirs, without asking GitHub."""

from kit.schemas import Read
from models.json_view import JsonView, example
from models.runs.run import PrStatus, Run
from models.runs.run_schemas import RUN, CiChecks


class PullRequestRead(Read):
    """The pull request of a run; `id` is the run's."""

    model_config = example(
        id=RUN,
        _id=RUN,
        runId=RUN,
        runName="Add a dark mode toggle",
        repositorySlug="org/repo",
        branchName="codecourier/7-add-a-dark-mode-toggle",
        prUrl="https://github.com/org/repo/pull/42",
        prNumber=42,
        prStatus="blocked_on_ci",
        ciChecks={
            "status": "failed",
            "checkedAt": "2026-01-15T10:30:00.000Z",
            "checks": [
                {
                    "name": "test",
                    "status": "failure",
                    "conclusion": "failure",
                    "url": "https://github.com/org/repo/runs/1",
                },
            ],
        },
    )
    run_id: str
    """The run that it is of; the same as `id`."""
    run_name: str
    """What people call the run."""
    repository_slug: str
    """The owner and the name of the repository."""
    branch_name: str | None
    """The branch that holds the run's work; null until the run has one."""
    pr_url: str | None
    """Its address on GitHub; null until it is open, and where there is none."""
    pr_number: int | None
    """Its number; null until it is open, and where there is none."""
    pr_status: PrStatus
    """What became of it."""
    ci_checks: CiChecks | None
    """What CI last said of it; null before CI was asked."""


PULL_REQUESTS = JsonView(
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
