"""Registers the stack that these tests share with those of the other directories that ask for it."""

import pytest

from tests.integration.stack.tutorial.forge import Forge
from tests.support import detached_stack_fixture
from tests.support.detached_stack import DetachedStack


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(detached_stack_fixture):
        config.pluginmanager.register(detached_stack_fixture)


@pytest.fixture(scope="module")
def forge(stack: DetachedStack) -> Forge:
    return Forge(stack)
