"""One set of parts for every test of runs, and the site that most of them share."""

from collections.abc import AsyncIterator

import pytest

from tests.runs.parts import Parts, running
from tests.runs.site import Site, opened


@pytest.fixture(scope="session")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Parts]:
    async with running(tmp_path_factory.mktemp("parts")) as parts:
        yield parts


@pytest.fixture(scope="session")
async def site(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site whose worker is never killed."""
    async with opened(parts, "site", tmp_path_factory.mktemp("sites") / "site") as site:
        await site.start_worker()
        yield site
