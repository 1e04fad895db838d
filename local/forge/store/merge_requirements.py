"""What a protected base still asks of a pull request before it may be merged, in GitHub's words.

The rules hold for everyone here: the token's user merges as a writer does, not as an admin who may pass over
them. `enforce_admins` decides only whether they hold for pushes to the branch as well.
"""

from collections import Counter

from local.forge.git import refs
from local.forge.store import branch_protections, check_runs, reviews, statuses
from local.forge.store.branch_protections import Check, Reviews, StatusChecks
from local.forge.store.check_runs import APP, CheckRun
from local.forge.store.pull_requests import PullRequest
from local.forge.store.repositories import Repository
from local.forge.store.statuses import Status

ANY_APP = (None, -1)


async def unmet_requirement(repo: Repository, pull: PullRequest, login: str, method: str = "") -> str | None:
    """Why this user may not merge it this way, None when nothing stands in the way."""
    protection = await branch_protections.find(repo, pull.base_ref)
    if protection is None:
        return None
    rules = protection.rules
    if rules.lock_branch:
        return "Cannot change this locked branch"
    if rules.excludes(login):
        return "You're not authorized to push to this branch."
    if rules.required_linear_history and method == "merge":
        return "This branch must not contain merge commits."
    if rules.required_pull_request_reviews is not None:
        lacking = await missing_reviews(repo, pull, rules.required_pull_request_reviews)
        if lacking:
            return lacking
    if rules.required_status_checks is not None:
        return await missing_checks(repo, pull, rules.required_status_checks)
    return None


async def is_behind(repo: Repository, pull: PullRequest) -> bool:
    """Whether the base is strict and has moved on from what the head contains."""
    protection = await branch_protections.find(repo, pull.base_ref)
    checks = protection.rules.required_status_checks if protection else None
    if checks is None or not checks.strict:
        return False
    return not await refs.is_ancestor(repo.git, pull.base_sha, pull.head_sha)


async def missing_reviews(repo: Repository, pull: PullRequest, wanted: Reviews) -> str | None:
    """Too few approvals, or somebody's request for changes that still stands."""
    verdicts = reviews.latest_by_reviewer(await reviews.list_by_pull_request(repo, pull.number))
    if any(review.state == "CHANGES_REQUESTED" for review in verdicts):
        return "Changes have been requested."
    stale = wanted.dismiss_stale_reviews
    approved = [
        review
        for review in verdicts
        if review.state == "APPROVED" and (not stale or review.commit_id == pull.head_sha)
    ]
    count = wanted.required_approving_review_count
    if len(approved) >= count:
        return None
    many = "review is" if count == 1 else "reviews are"
    return f"At least {count} approving {many} required by reviewers with write access."


async def missing_checks(repo: Repository, pull: PullRequest, wanted: StatusChecks) -> str | None:
    """Checks that have not succeeded; on a strict base nothing counts that was said of a head behind it."""
    runs: list[CheckRun] = []
    reports: list[Status] = []
    if not wanted.strict or await refs.is_ancestor(repo.git, pull.base_sha, pull.head_sha):
        runs = check_runs.latest_by_name(await check_runs.list_by_commit(repo, pull.head_sha))
        reports = statuses.latest_by_context(await statuses.list_by_commit(repo, pull.head_sha))
    states = {check.context: check_state(check, runs, reports) for check in wanted.checks}
    open_ = {context: state for context, state in states.items() if state != "success"}
    if not open_:
        return None
    if len(open_) == 1:
        ((context, state),) = open_.items()
        return f'Required status check "{context}" is {state}.'
    of = f"{len(open_)} of {len(states)} required status checks"
    counts = Counter(open_.values())
    if list(counts) == ["expected"]:
        return f"{of} are expected."
    return f"{of} have not succeeded: {', '.join(f'{count} {state}' for state, count in counts.items())}."


def check_state(check: Check, runs: list[CheckRun], reports: list[Status]) -> str:
    """success, failing, in progress, queued, pending, or expected while nothing was said.

    A check run and a status of one name must both have succeeded, as on GitHub.
    """
    ours = check.app_id in ANY_APP or check.app_id == APP["id"]
    said = [check_run_state(run) for run in runs if ours and run.name == check.context]
    if check.app_id in ANY_APP:
        said += [status_state(report) for report in reports if report.context == check.context]
    return next((state for state in said if state != "success"), "success" if said else "expected")


def check_run_state(run: CheckRun) -> str:
    if run.status != "completed":
        return run.status.replace("_", " ")
    return "success" if run.conclusion in check_runs.PASSING_CONCLUSIONS else "failing"


def status_state(report: Status) -> str:
    return {"success": "success", "pending": "pending"}.get(report.state, "failing")
