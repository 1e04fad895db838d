"""What the tests of single activities start from."""

import pytest

from kit.database import Database
from models import Run
from tests.conftest import TestProject
from tests.factories import run_at_work


@pytest.fixture
async def run(database: Database, project: TestProject) -> Run:
    """A run at work that has no sandbox yet."""
    blueprint, run, _ = run_at_work(project)
    async with database.transaction() as session:
        session.add(blueprint)
        await session.flush()
        session.add(run)
    return run
