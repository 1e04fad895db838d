"""Why CI failed on a commit: what failed, with the end of its logs, and running it again."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final
from urllib.parse import quote

import httpx
from github import Github, GithubException
from github.CheckRun import CheckRun
from github.CommitCombinedStatus import CommitCombinedStatus

from gateways.errors import ProviderLimit, UpstreamFailed
from gateways.github.client import GitHub
from gateways.github.errors import map_error

MAX_LOG_CHARS: Final = 20_000
"""Of one check's log, from its end."""
MAX_LOG_BYTES: Final = 20 * 1024 * 1024
MAX_CHECKS: Final = 10
LOG_TIMEOUT_SECONDS: Final = 30.0
PASSED_CONCLUSIONS: Final = ("success", "neutral", "skipped")
INFRASTRUCTURE_CONCLUSIONS: Final = ("cancelled", "timed_out", "startup_failure", "stale")
"""Conclusions that say nothing of the code."""
_BROKEN_RUNNER: Final = re.compile(
    r"the runner has received a shutdown signal|lost communication with the server|no space left on device"
    r"|could not resolve host|the operation was canceled|received unexpected HTTP status: 50\d",
    re.IGNORECASE,
)
_VARIABLE_PARTS: Final = re.compile(
    r"\d{4}-\d\d-\d\dT[\d:.]+Z?|0x[0-9a-f]+|[0-9a-f]{7,}|\d+(\.\d+)?", re.IGNORECASE
)
"""What differs between two failures for the same reason: times, addresses, hashes, numbers."""


@dataclass(frozen=True)
class FailedCheck:
    id: int | None
    """Of the check run; None for a commit status, which nobody but its maker can bring about again."""
    name: str
    conclusion: str
    log: str
    """Its end, or what the check says of itself where it has no log."""

    @property
    def is_infrastructure(self) -> bool:
        """Whether it failed for a reason that a change of the code does not mend."""
        if self.id is None:
            return False
        return (
            self.conclusion in INFRASTRUCTURE_CONCLUSIONS
            or _BROKEN_RUNNER.search(self.log[-4_000:]) is not None
        )


def fingerprint(checks: Sequence[FailedCheck]) -> str:
    """The same for two failures of the same checks for the same reason, as far as their logs tell."""
    parts = sorted(f"{check.name}\n{_VARIABLE_PARTS.sub('#', check.log[-2_000:])}" for check in checks)
    return sha256("\n\n".join(parts).encode()).hexdigest()


async def failed_checks(github: GitHub, slug: str, sha: str) -> list[FailedCheck]:
    """The check runs and statuses of a commit that failed, at most ten, each with the end of its log.

    There is one whenever `read_checks` calls the commit failed.
    """

    def ask(client: Github) -> list[FailedCheck]:
        commit = client.get_repo(slug).get_commit(sha)
        runs = commit.get_check_runs()
        failed = [
            run for run in runs if run.status == "completed" and run.conclusion not in PASSED_CONCLUSIONS
        ]
        checks = [
            FailedCheck(run.id, run.name, run.conclusion or "failure", _log(client, slug, run))
            for run in failed[:MAX_CHECKS]
        ]
        return [*checks, *_failed_statuses(commit.get_combined_status())][:MAX_CHECKS]

    return await github.call("Reading why CI failed", ask)


async def rerun_checks(github: GitHub, slug: str, ids: Sequence[int]) -> None:
    """Have checks run again; one that is at work already, or that the token may not start, is left alone."""

    def ask(client: Github) -> None:
        for check_id in ids:
            if _request_rerun(client, f"/repos/{slug}/actions/jobs/{check_id}/rerun") == 404:
                _request_rerun(client, f"/repos/{slug}/check-runs/{check_id}/rerequest")  # another app's

    await github.call("Running CI again", ask, write=True)


def _failed_statuses(combined: CommitCombinedStatus) -> list[FailedCheck]:
    """What reports in the older way, as Jenkins does; it has no log that could be read here."""
    failed = [
        FailedCheck(None, each.context, each.state, each.description or "")
        for each in combined.statuses
        if each.state not in ("success", "pending")
    ]
    if combined.total_count > len(combined.statuses) and combined.state not in ("success", "pending"):
        failed.append(FailedCheck(None, "the other statuses", combined.state, ""))
    return failed


def _request_rerun(client: Github, path: str) -> int:
    """The status of the answer; refusals are answers, except for a limit."""
    try:
        client.requester.requestJsonAndCheck("POST", path)
    except GithubException as error:
        if error.status not in (403, 404, 422) or _is_limit(error):
            raise
        return int(error.status)
    return 201


def _is_limit(error: GithubException) -> bool:
    return isinstance(map_error("Asking GitHub", error), ProviderLimit)


def _log(client: Github, slug: str, run: CheckRun) -> str:
    """The end of the log of a job of GitHub Actions, whose id is the check's; else what the check says."""
    try:
        headers, _ = client.requester.requestJsonAndCheck(
            "GET", f"/repos/{quote(slug)}/actions/jobs/{run.id}/logs"
        )
    except GithubException as error:
        if error.status not in (403, 404, 410) or _is_limit(error):  # 403: no right to read Actions
            raise
        said = (run.output.title, run.output.summary, run.output.text)
        return "\n\n".join(part for part in said if part)[-MAX_LOG_CHARS:]
    return _download(headers["location"])[-MAX_LOG_CHARS:]


def _download(address: str) -> str:
    """The end of a log, from the signed address that GitHub named."""
    end = b""
    size = 0
    try:
        with httpx.stream("GET", address, timeout=LOG_TIMEOUT_SECONDS) as answer:
            answer.raise_for_status()
            for chunk in answer.iter_bytes():
                size += len(chunk)
                end = (end + chunk)[-4 * MAX_LOG_CHARS :]
                if size > MAX_LOG_BYTES:
                    break
    except httpx.HTTPError as error:
        raise UpstreamFailed(f"Reading CI's log failed: {type(error).__name__}.") from error
    return end.decode(errors="replace")
