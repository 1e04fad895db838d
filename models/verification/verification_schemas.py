"""The verification of a run on the wire."""

from typing import Final

from pydantic.config import JsonDict

from kit.schemas import Read, UtcTimestamp
from models.json_view import JsonView
from models.verification.runner_output import CountedTests
from models.verification.verification import Verification, VerificationStatus

VERIFICATION: JsonDict = {
    "id": "ver_0198f2c6f1a27b3c8d4e5f6a7b8c9d0e",
    "_id": "ver_0198f2c6f1a27b3c8d4e5f6a7b8c9d0e",
    "number": 1,
    "status": "passed",
    "commitSha": "6dcb09b5b57875f334f61aebed695e2e4193db5e",
    "command": "make test",
    "timeoutMs": 1_800_000,
    "exitCode": 0,
    "durationMs": 12_300,
    "output": "214 passed in 11.87s",
    "reason": None,
    "tests": {"total": 214, "passed": 214, "failed": 0, "skipped": 0},
    "testFiles": ["tests/test_toggle.py"],
    "startedAt": "2026-01-15T10:07:00.000Z",
    "completedAt": "2026-01-15T10:07:14.000Z",
    "voidedAt": None,
}


class VerificationRead(Read):
    """The workflow's `verify` command, run by the platform in a fresh sandbox at the pushed commit."""

    number: int
    """Counts up from 1 in the run."""
    status: VerificationStatus
    """Whether it passed. `void`: another commit is on the branch by now."""
    commit_sha: str
    """The commit that it says something of, and no other."""
    command: str
    """What was run."""
    timeout_ms: int
    """How long that might take, in milliseconds."""
    exit_code: int | None
    """How the command ended; null until then, and where it did not end by itself."""
    duration_ms: int | None
    """How long it took, in milliseconds; null until it ended."""
    output: str | None
    """The end of what it printed, secrets masked: the last 1,000 characters where several are shown, 8,000 at
    most; null until it ended."""
    reason: str | None
    """Why it could not be run to its end, or why the agent could not fix what failed; null otherwise."""
    tests: CountedTests | None
    """The tests that it ran, as its runner counted them; null where no runner is known."""
    test_files: list[str] | None
    """The tests that the change touches, at most 200: one that was edited to pass is among them. Null until
    they are known."""
    started_at: UtcTimestamp
    """When it began."""
    completed_at: UtcTimestamp | None
    """When it ended; null until then."""
    voided_at: UtcTimestamp | None
    """When another commit was found on the branch; null until then."""


MAX_BRIEF_CHARS: Final = 1_000
"""Of the output, where several are shown at once."""
_SHORT_OUTPUT = {"output": f"right(output, {MAX_BRIEF_CHARS})"}
VERIFICATIONS = JsonView(VerificationRead, Verification, "Verification", keys=("number",))
VERIFICATION_SUMMARIES = JsonView(
    VerificationRead, Verification, "Verification", keys=("number",), shown=_SHORT_OUTPUT
)
