"""What a pull request says of the verification of its commit: a section that can be found and replaced."""

import re
from typing import Final

from gateways.github.inert_markdown import neutralize_markdown
from gateways.github.markers import without_markers
from models.verification.runner_output import CountedTests
from models.verification.verification import Verification, VerificationStatus

SECTION_BEGIN: Final = "<!-- codecourier:verification -->"
SECTION_END: Final = "<!-- /codecourier:verification -->"
MAX_SHOWN_CHARS: Final = 3_000
"""Of the command's output, from its end."""
MAX_LISTED_FILES: Final = 30
"""Test files that are named."""
MAX_PATH_CHARS: Final = 200
_SECTION: Final = re.compile(f"{re.escape(SECTION_BEGIN)}.*?{re.escape(SECTION_END)}", re.DOTALL)


def verification_section(verification: Verification) -> str:
    """Markdown between two markers: what was run, on which commit, and what came of it.

    Output and names of files are the agent's own work: they hold no marker.
    """
    parts = ["## How it was verified", _sentence(verification)]
    if verification.reason and verification.status is VerificationStatus.failed:
        parts.append(neutralize_markdown(verification.reason))
    if verification.output and verification.status is not VerificationStatus.passed:
        parts.append(_fenced(verification.output[-MAX_SHOWN_CHARS:]))
    if files := verification.test_files:
        listed = ", ".join(_code(path[:MAX_PATH_CHARS]) for path in files[:MAX_LISTED_FILES])
        more = f" and {len(files) - MAX_LISTED_FILES} more" if len(files) > MAX_LISTED_FILES else ""
        parts.append(f"The change touches tests: {listed}{more}.")
    return "\n\n".join([SECTION_BEGIN, without_markers("\n\n".join(parts)), SECTION_END])


def replace_section(body: str, section: str) -> str:
    """A body with this section instead of the one that it has, or after all else; there is one only."""
    found = list(_SECTION.finditer(body))
    if not found:
        return f"{body}\n\n{section}"
    before, after = body[: found[-1].start()], body[found[-1].end() :]
    return f"{_SECTION.sub('', before)}{section}{after}"


def _sentence(verification: Verification) -> str:
    command, commit = _code(verification.command), verification.commit_sha[:12]
    seconds = f"{(verification.duration_ms or 0) / 1000:.1f} s"
    counted = f": {_test_counts_text(verification)}" if verification.tests else ""
    match verification.status:
        case VerificationStatus.passed:
            return f"✅ {command} passed on {commit} in {seconds}{counted}."
        case VerificationStatus.failed:
            code = verification.exit_code
            return f"❌ {command} failed on {commit} with exit code {code}, in {seconds}{counted}."
        case VerificationStatus.timed_out:
            return f"⚠️ {command} did not end on {commit}: it was stopped after {seconds}."
        case VerificationStatus.void:
            return f"⚠️ {command} was run on {commit}, which is not the branch's last commit any more."
    return f"⚠️ {command} could not be run on {commit}: {neutralize_markdown(verification.reason or '')}"


def _test_counts_text(verification: Verification) -> str:
    tests = CountedTests.model_validate(verification.tests)
    said = [f"{tests.total} tests", f"{tests.passed} passed"]
    said += [f"{tests.failed} failed"] if tests.failed else []
    said += [f"{tests.skipped} skipped"] if tests.skipped else []
    return ", ".join(said)


def _code(text: str) -> str:
    """On one line, as code that the text cannot end."""
    line = " ".join(text.split())
    fence = "`" * (_max_backtick_run(line) + 1)
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def _fenced(text: str) -> str:
    fence = "`" * max(3, _max_backtick_run(text) + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


def _max_backtick_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
