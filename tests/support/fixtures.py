"""One set of parts for every test of runs, and the site that most of them share.

What they need is imported when they are first asked for: most tests can do without.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.installation import Installation
    from tests.support.stack import Servers


@pytest.fixture(scope="session")
async def parts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """The servers that runs need, with every scenario that the collected tests have written."""
    from tests.support.stack import run_servers

    async with run_servers(tmp_path_factory.mktemp("parts")) as parts:
        yield parts


@pytest.fixture(scope="session")
async def site(parts: Servers, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """A site whose worker is never killed."""
    from tests.support.installation import open_installation

    async with open_installation(parts, "site", tmp_path_factory.mktemp("sites") / "site") as site:
        await site.start_worker()
        yield site
