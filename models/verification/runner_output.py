"""Tests counted from what a test runner prints at its end; nothing is counted where no runner is known."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from kit.schemas import Wire


class CountedTests(Wire):
    """How many tests a command ran, by how they ended."""

    total: int
    """All of them, those that were skipped included."""
    passed: int
    """Those that passed."""
    failed: int
    """Those that failed, or could not be run for an error."""
    skipped: int
    """Those that were left out."""


Counts = dict[str, int]
_ANSI_COLORS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_COUNT_AND_WORD = re.compile(r"(\d+) ([a-z]+)")
_PASSED: Final = ("passed", "passing", "xpassed")
_FAILED: Final = ("failed", "failing", "errors", "error", "failures", "failure")
_SKIPPED: Final = ("skipped", "ignored", "pending", "todo", "xfailed")


def count_tests(output: str) -> CountedTests | None:
    """What pytest, unittest, Jest, Vitest, Mocha, Cargo, RSpec or `go test -v` counted; None for others.

    A command that runs one runner several times is counted as a whole.
    """
    text = _ANSI_COLORS.sub("", output)
    for read in _RUNNERS:
        if counted := read(text):
            return counted
    return None


def _pytest(text: str) -> CountedTests | None:
    """`=== 1 failed, 5 passed, 2 skipped in 0.12s ===`, with or without the bars."""
    line = r"^=*\s*((?:\d+ [a-z]+, )*\d+ [a-z]+) in [\d.]+s(?: \([\d:]+\))?\s*=*$"
    return _sum_up(_parse_counts(words) for words in re.findall(line, text, re.MULTILINE))


def _unittest(text: str) -> CountedTests | None:
    """`Ran 5 tests in 0.1s`, then `OK (skipped=1)` or `FAILED (failures=1, errors=2)`."""
    ending = r"^Ran (\d+) tests? in [\d.]+s\s+(?:OK|FAILED|NO TESTS RAN)(?: \((.*)\))?$"

    def read(total: str, words: str) -> Counts:
        counts = {name.strip(): int(count) for name, count in re.findall(r"([a-z ]+)=(\d+)", words)}
        failed = counts.get("failures", 0) + counts.get("errors", 0) + counts.get("unexpected successes", 0)
        skipped = counts.get("skipped", 0)
        return {"passed": int(total) - failed - skipped, "failed": failed, "skipped": skipped}

    return _sum_up(read(*found) for found in re.findall(ending, text, re.MULTILINE))


def _jest(text: str) -> CountedTests | None:
    """Jest's `Tests:  1 failed, 5 passed, 6 total`; Vitest's `Tests  1 failed | 5 passed (6)`."""
    line = r"^\s*Tests:?\s+((?:\d+ [a-z]+(?:, | \| )?)+)"
    return _sum_up(_parse_counts(words) for words in re.findall(line, text, re.MULTILINE))


def _cargo(text: str) -> CountedTests | None:
    """`test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; …`, one for each crate."""
    return _sum_up(
        _parse_counts(words) for words in re.findall(r"^test result: \w+\. (.*)$", text, re.MULTILINE)
    )


def _rspec(text: str) -> CountedTests | None:
    """`5 examples, 1 failure, 2 pending`."""

    def read(total: str, words: str) -> Counts:
        counts = _parse_counts(words)
        return {**counts, "passed": int(total) - sum(counts.values())}

    line = r"^(\d+) examples?, (.*)$"
    return _sum_up(read(*found) for found in re.findall(line, text, re.MULTILINE))


def _mocha(text: str) -> CountedTests | None:
    """`5 passing (12ms)`, `1 failing` and `2 pending`, each on its own line."""
    if not re.search(r"^\s*\d+ passing \(", text, re.MULTILINE):
        return None
    lines = re.findall(r"^\s*(\d+ (?:passing|failing|pending))\b", text, re.MULTILINE)
    return _sum_up(_parse_counts(words) for words in lines)


def _go(text: str) -> CountedTests | None:
    """`--- PASS: TestName (0.00s)` of `go test -v`; subtests are indented and not counted by themselves."""
    names = {"PASS": "passed", "FAIL": "failed", "SKIP": "skipped"}
    found = re.findall(r"^--- (PASS|FAIL|SKIP): ", text, re.MULTILINE)
    return _sum_up({names[word]: 1} for word in found)


_RUNNERS: Final[tuple[Callable[[str], CountedTests | None], ...]] = (
    _pytest,
    _unittest,
    _jest,
    _cargo,
    _rspec,
    _mocha,
    _go,
)


def _parse_counts(words: str) -> Counts:
    """`1 failed, 5 passed` by our own three words; words that count no tests are passed over."""
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for count, word in _COUNT_AND_WORD.findall(words):
        for name, known in (("passed", _PASSED), ("failed", _FAILED), ("skipped", _SKIPPED)):
            counts[name] += int(count) if word in known else 0
    return counts


def _sum_up(found: Iterable[Counts]) -> CountedTests | None:
    several = list(found)
    passed, failed, skipped = (
        sum(counts.get(name, 0) for counts in several) for name in ("passed", "failed", "skipped")
    )
    if not several or min(passed, failed, skipped) < 0:
        return None
    return CountedTests(total=passed + failed + skipped, passed=passed, failed=failed, skipped=skipped)
