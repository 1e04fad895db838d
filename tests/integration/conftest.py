"""Registers the stack that these tests share with those of the other directories that ask for it."""

import pytest

from tests.support import detached_stack_fixture


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(detached_stack_fixture):
        config.pluginmanager.register(detached_stack_fixture)
