"""What CI says of a commit on GitHub: its check runs and its statuses, as one verdict."""

from dataclasses import dataclass
from typing import Literal

from github import Github, GithubException
from github.CheckRun import CheckRun

Verdict = Literal["pending", "passed", "failed"]


@dataclass(frozen=True)
class Check:
    name: str
    verdict: Verdict
    url: str | None


@dataclass(frozen=True)
class ChecksFacts:
    status: Literal["none", "pending", "passed", "failed"]
    """`failed` as soon as one has failed, `passed` when all have; `none` when nothing checks this commit."""
    checks: list[Check]


def checks_of(client: Github, slug: str, sha: str) -> ChecksFacts:
    """What check runs and commit statuses say of a commit."""
    commit = client.get_repo(slug).get_commit(sha)
    found = [Check(run.name, _of_run(run), run.html_url) for run in commit.get_check_runs()]
    combined = commit.get_combined_status()
    found += [Check(each.context, _of(each.state), each.target_url) for each in combined.statuses]
    if combined.total_count > len(combined.statuses):  # it shows the first thirty
        found.append(Check("the other statuses", _of(combined.state), None))
    verdicts = {check.verdict for check in found}
    if not found:
        return ChecksFacts("none", found)
    return ChecksFacts(
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


def _of_run(run: CheckRun) -> Verdict:
    if run.status != "completed":
        return "pending"
    return "passed" if run.conclusion in ("success", "neutral", "skipped") else "failed"


def _of(state: str) -> Verdict:
    """The verdict of a commit status."""
    verdicts: dict[str, Verdict] = {"success": "passed", "pending": "pending"}
    return verdicts.get(state, "failed")
