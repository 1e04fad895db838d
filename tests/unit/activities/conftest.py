"""What the tests of single activities start from."""

import pytest

from kit.database import Database
from models import Run
from tests.conftest import ProjectKey
from tests.factories import make_running_run


@pytest.fixture
async def run(database: Database, project: ProjectKey) -> Run:
    """A run at work that has no sandbox yet."""
    blueprint, run, _ = make_running_run(project)
    async with database.transaction() as session:
        session.add(blueprint)
        await session.flush()
        session.add(run)
    return run
