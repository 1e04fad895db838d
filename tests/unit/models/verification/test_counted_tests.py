"""Tests are counted from what the usual runners print, and nowhere else."""

import pytest

from models.verification.changed_tests import changed_tests
from models.verification.runner_output import count_tests

CARGO = (
    "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n"
    "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 3 filtered out\n"
)
GO = (
    "=== RUN   TestA\n--- PASS: TestA (0.00s)\n    --- PASS: TestA/sub (0.00s)\n"
    "--- FAIL: TestB (0.1s)\n--- SKIP: TestC (0.00s)\nFAIL\n"
)
JEST = "Test Suites: 1 failed, 2 passed, 3 total\nTests:       1 failed, 5 passed, 6 total\n"
VITEST = " Test Files  1 passed (1)\n      Tests  1 failed | 4 passed | 2 skipped (7)\n"
OUTPUTS = {
    "pytest": ("=== 1 failed, 5 passed, 2 skipped, 1 warning in 0.12s ===", (8, 5, 1, 2)),
    "pytest-quiet": ("..F\n1 failed, 2 passed in 61.07s (0:01:01)\n", (3, 2, 1, 0)),
    "pytest-coloured": ("\x1b[32m\x1b[1m3 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m", (3, 3, 0, 0)),
    "pytest-error": ("=========== 2 errors in 0.33s ===========", (2, 0, 2, 0)),
    "pytest-twice": ("=== 2 passed in 1.0s ===\nnext\n=== 3 passed, 1 xfailed in 2.0s ===", (6, 5, 0, 1)),
    "unittest": ("Ran 5 tests in 0.001s\n\nOK (skipped=1)\n", (5, 4, 0, 1)),
    "unittest-one": ("Ran 1 test in 0.000s\n\nOK\n", (1, 1, 0, 0)),
    "unittest-red": ("Ran 7 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n", (7, 3, 3, 1)),
    "jest": (JEST, (6, 5, 1, 0)),
    "vitest": (VITEST, (7, 4, 1, 2)),
    "mocha": ("  5 passing (12ms)\n  1 pending\n  2 failing\n", (8, 5, 2, 1)),
    "cargo": (CARGO, (9, 6, 2, 1)),
    "rspec": ("Finished in 0.1 seconds\n5 examples, 1 failure, 2 pending\n", (5, 2, 1, 2)),
    "go": (GO, (3, 1, 1, 1)),
}


@pytest.mark.parametrize("runner", OUTPUTS)
def test_tests_are_counted_of_each_runner(runner: str) -> None:
    output, counts = OUTPUTS[runner]
    counted = count_tests(f"make test\n{output}")
    assert counted is not None
    assert (counted.total, counted.passed, counted.failed, counted.skipped) == counts


@pytest.mark.parametrize("output", ["", "ok\n", "all 12 tests passed", "ok  pkg/a 0.1s\n", "5 passing by"])
def test_nothing_is_counted_where_no_runner_is_known(output: str) -> None:
    assert count_tests(output) is None


def test_changed_tests_are_found_by_their_usual_names() -> None:
    tests = [
        "tests/unit/a.py",
        "src/test_a.py",
        "pkg/a_test.go",
        "web/a.test.ts",
        "web/a.spec.tsx",
        "spec/a_spec.rb",
        "src/FooTest.java",
        "conftest.py",
        "vitest.config.ts",
        "web/__snapshots__/a.snap",
    ]
    others = ["src/a.py", "latest.py", "src/contest.py", "docs/testing.md", "attestation.go", "README.md"]
    assert changed_tests([*others, *tests]) == tests
