"""A whole run where the server has no token: everything goes with those that its GitHub App mints."""

import asyncio
from uuid import uuid4

import pytest

from local.forge.seed import seed
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from tests.support.github_app import APP_ID, forge_with_app, key_pair
from tests.support.installation import FILES, open_installation
from tests.support.scenarios import bash, finish, register_scenario
from tests.support.stack import Servers

WORKING = register_scenario("as-an-app", bash("echo work > work.txt"), finish("Wrote work.txt."))


async def test_a_run_is_cloned_pushed_and_proposed_by_the_app(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory, name = tmp_path_factory.mktemp("app"), f"repo-{uuid4().hex[:12]}"
    with forge_with_app(directory / "forge", "acme") as forge:
        slug = f"acme/{name}"
        await seed(forge.data, "acme", name, FILES)
        async with open_installation(parts, "github-app", directory / "site") as site:
            await site.start_worker(
                GITHUB_URL=forge.url,
                GITHUB_API_URL=f"{forge.url}/api/v3",
                GITHUB_TOKEN="",
                GITHUB_APP_ID=APP_ID,
                GITHUB_APP_PRIVATE_KEY=key_pair().private,
            )
            project = await site.project(repository="acme/*")
            run = await site.start(f"Work {WORKING}", project=project, repository=slug)
            ended = await site.ended(run)
            assert (ended.status, ended.error_message) == (RunStatus.completed, None)
            assert ended.pr_status is PrStatus.created
            assert ended.pr_url == f"{forge.url}/{slug}/pull/1"
            types = [event.type for event in await site.events(run)]
            assert EventType.branch_pushed in types
            log = await asyncio.to_thread(site.log.read_text)
            assert "ghs_" not in log
