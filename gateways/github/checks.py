"""What CI says of a commit on GitHub: its check runs and its statuses, as one verdict."""

from dataclasses import dataclass
from typing import Literal

from github import Github, GithubException
from github.CheckRun import CheckRun
from pydantic import BaseModel

from gateways.github.conditional import get_cached_object

CheckVerdict = Literal["pending", "passed", "failed"]


@dataclass(frozen=True)
class CommitCheck:
    name: str
    verdict: CheckVerdict
    url: str | None


@dataclass(frozen=True)
class CommitChecks:
    status: Literal["none", "pending", "passed", "failed"]
    """`failed` as soon as one has failed, `passed` when all have; `none` when nothing checks this commit."""
    checks: list[CommitCheck]


class _Run(BaseModel):
    name: str
    status: str
    conclusion: str | None
    html_url: str | None


class _Runs(BaseModel):
    total_count: int
    check_runs: list[_Run]


class _Status(BaseModel):
    context: str
    state: str
    target_url: str | None


class _Combined(BaseModel):
    state: str
    total_count: int
    statuses: list[_Status]


def read_checks(client: Github, slug: str, sha: str) -> CommitChecks:
    """What check runs and commit statuses say of a commit."""
    of_commit = f"/repos/{slug}/commits/{sha}"
    runs = get_cached_object(client, f"{of_commit}/check-runs?per_page=100", _Runs)
    if runs.total_count > len(runs.check_runs):
        every = client.get_repo(slug).get_commit(sha).get_check_runs()
        found = [CommitCheck(run.name, _run_verdict(run), run.html_url) for run in every]
    else:
        found = [CommitCheck(run.name, _run_verdict(run), run.html_url) for run in runs.check_runs]
    combined = get_cached_object(client, f"{of_commit}/status?per_page=100", _Combined)
    found += [
        CommitCheck(each.context, _status_verdict(each.state), each.target_url) for each in combined.statuses
    ]
    if combined.total_count > len(combined.statuses):
        found.append(CommitCheck("the other statuses", _status_verdict(combined.state), None))
    verdicts = {check.verdict for check in found}
    if not found:
        return CommitChecks("none", found)
    return CommitChecks(
        "failed" if "failed" in verdicts else "pending" if "pending" in verdicts else "passed", found
    )


def has_ci(client: Github, slug: str, sha: str) -> bool:
    """Whether checks of this commit are to be expected: it has workflow files, or some have begun."""
    repository = client.get_repo(slug)
    try:
        files = repository.get_contents(".github/workflows", ref=sha)
    except GithubException as error:
        if error.status != 404:
            raise
        files = []
    if isinstance(files, list) and any(file.name.endswith((".yml", ".yaml")) for file in files):
        return True
    commit = repository.get_commit(sha)
    return commit.get_check_runs().totalCount > 0 or commit.get_combined_status().total_count > 0


def _run_verdict(run: CheckRun | _Run) -> CheckVerdict:
    if run.status != "completed":
        return "pending"
    return "passed" if run.conclusion in ("success", "neutral", "skipped") else "failed"


def _status_verdict(state: str) -> CheckVerdict:
    """The verdict of a commit status."""
    verdicts: dict[str, CheckVerdict] = {"success": "passed", "pending": "pending"}
    return verdicts.get(state, "failed")
