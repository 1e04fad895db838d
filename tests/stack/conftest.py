"""Registers the stack that these tests share with those of the other directories that ask for it."""

import pytest

from tests.stack import fixtures


def pytest_configure(config: pytest.Config) -> None:
    if not config.pluginmanager.is_registered(fixtures):
        config.pluginmanager.register(fixtures)
