"""Which of a change's files are tests: a test that was edited to pass has to be seen."""

import re
from collections.abc import Iterable
from typing import Final

MAX_TEST_FILES: Final = 200
_TEST_FOLDERS: Final = frozenset(
    {"test", "tests", "__tests__", "spec", "specs", "e2e", "testing", "testdata", "fixtures", "__snapshots__"}
)
_TEST_FILE_NAME = re.compile(
    r"(?:test_.*|.*_tests?\.[^.]+|.*[._-](?:test|spec)\.[^.]+|.*Tests?\.[^.]+|.*_spec\.[^.]+"
    r"|conftest\.py|pytest\.ini|tox\.ini|noxfile\.py|(?:jest|vitest|playwright|cypress)\.config\..*)\Z"
)
"""Names of tests in the usual languages, and of what decides which tests are run and how."""


def is_test_file(path: str) -> bool:
    *folders, name = path.split("/")
    return not _TEST_FOLDERS.isdisjoint(folders) or _TEST_FILE_NAME.match(name) is not None


def changed_tests(paths: Iterable[str]) -> list[str]:
    """Those that are tests, in their order, at most 200 of them."""
    return [path for path in paths if is_test_file(path)][:MAX_TEST_FILES]
