"""What git said, as errors that a user can act on."""

import re
from typing import Final

from gateways.errors import CredentialRefused, GatewayError, ProviderLimit, UpstreamFailed, UpstreamRefused
from gateways.sandboxes.sandbox import TIMED_OUT
from kit.redaction import Redactor


class GitAuthenticationRefused(CredentialRefused):
    """The token may not read, or not write, this repository."""


class RepositoryNotFound(UpstreamRefused):
    """There is no such repository, or the token may not know of it."""


class BaseBranchMissing(UpstreamRefused):
    """The branch to start from does not exist."""


class BranchMissing(UpstreamRefused):
    """A branch that is to be compared, or that the work goes on from, does not exist."""


class CommitMissing(UpstreamRefused):
    """The repository does not have a commit that was asked for by its name."""


class PushRejected(UpstreamRefused):
    """The remote did not take the commits: its branch moved on, or a rule of the repository forbids it."""


class WorkTreeDamaged(UpstreamRefused):
    """The clone in the sandbox is missing, or its git data cannot be used any more."""


_RULES: Final[list[tuple[re.Pattern[str], type[GatewayError], str]]] = [
    (re.compile(pattern, re.IGNORECASE), error, sentence)
    for pattern, error, sentence in (
        (
            r"! \[rejected\]|non-fast-forward|fetch first|stale info",
            PushRejected,
            "The branch has other commits on the remote: delete or merge that branch, then restart the run.",
        ),
        (
            r"\[remote rejected\]|hook declined|protected branch|remote: error: GH\d+",
            PushRejected,
            "The push was rejected by a rule of the repository.",
        ),
        (
            r"returned error: 429|rate limit",
            ProviderLimit,
            "The git server asks to wait before the next request.",
        ),
        (
            r"authentication failed|could not read user|returned error: 40[13]|permission to .* denied",
            GitAuthenticationRefused,
            "The git server refused the token: check that it is valid and may write to this repository.",
        ),
        (
            r"repository .*not found|returned error: (404|410)|does not appear to be a git repository",
            RepositoryNotFound,
            "The repository was not found. Check its address and that the token may access it.",
        ),
        (
            r"not our ref|unadvertised object",
            CommitMissing,
            "The repository does not have this commit.",
        ),
        (
            r"couldn't find remote ref|remote branch .* not found",
            BaseBranchMissing,
            "The branch does not exist in the repository.",
        ),
    )
]


def map_error(doing: str, exit_code: int, output: str, token: str) -> GatewayError:
    """The error for a git command that failed; what is not recognised counts as transient."""
    said = Redactor([token]).redact_text(output).strip()
    last = " ".join(line.strip() for line in said.splitlines()[-6:])[-400:]
    for pattern, error, sentence in _RULES:
        if pattern.search(said):
            return error(f"{doing} failed. {sentence} git said: {last}")
    if exit_code == TIMED_OUT:
        return UpstreamFailed(f"{doing} took too long and was stopped. {last}".strip())
    return UpstreamFailed(f"{doing} failed with exit code {exit_code}: {last}")
