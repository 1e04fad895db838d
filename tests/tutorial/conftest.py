"""Registers the stack that these tests share with those of the other directories that ask for it."""

import pytest

from tests.stack import fixtures
from tests.stack.detached import DetachedStack
from tests.tutorial.forge import Forge


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(fixtures):
        config.pluginmanager.register(fixtures)


@pytest.fixture(scope="module")
def forge(stack: DetachedStack) -> Forge:
    return Forge(stack)
