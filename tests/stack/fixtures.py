"""One running stack for all tests that only use it: a plugin, so that several directories share it."""

from collections.abc import Iterator

import pytest

from tests.stack.detached import DetachedStack


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DetachedStack]:
    """A stack in the background, with what `codecourier up` seeds."""
    stack = DetachedStack(tmp_path_factory.mktemp("stack") / "data")
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
    assert stack.marked() == []
