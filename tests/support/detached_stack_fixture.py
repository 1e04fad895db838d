"""One running stack for all tests that only use it: a plugin, so that several directories share it."""

from collections.abc import Iterator

import pytest

from tests.support.detached_stack import DetachedStack, run_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetachedStack]:
    """A stack in the background, with what `codecourier up` seeds."""
    with run_stack(tmp_path_factory.mktemp("stack") / "data") as stack:
        yield stack
