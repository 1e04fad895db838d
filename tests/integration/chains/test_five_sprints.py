"""Chains of five sprints as operators and clients meet them: by the command line, by REST, and failing."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.stack.temporal import executable
from models.chains.chain import ChainStatus
from models.runs.run import RunStatus
from tests.integration.chains.test_sprint_chains import SLOW, a_chain, holds
from tests.support.chains import chain_runs, start, wait_for_started_runs, wait_for_status
from tests.support.github import ApiServer, serving_api
from tests.support.history_limits import suggest_continue_as_new_after
from tests.support.installation import Installation, open_installation
from tests.support.pull_requests import make_key_headers
from tests.support.stack import Servers
from worker.main import build_workers

FIVE = 5
FEW_EVENTS = 15
pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
async def api(site: Installation) -> AsyncIterator[ApiServer]:
    async with serving_api(site) as api:
        yield api


async def signal(site: Installation, workflow_id: str, name: str) -> None:
    """As an operator does: `temporal workflow signal`."""
    where = ["--address", site.parts.temporal_address, "--namespace", site.name]
    words = ["workflow", "signal", "--workflow-id", workflow_id, "--name", name, *where]
    process = await asyncio.create_subprocess_exec(executable(), *words, stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, said


async def rest(
    site: Installation, api: ApiServer, method: str, project_id: str, path: str, **body: Any
) -> dict[str, Any]:
    headers = await make_key_headers(site, project_id)
    answer = await api.http.request(
        method, f"/api/v1/sprint-chains/{path}", json=body or None, headers=headers
    )
    assert answer.is_success, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def test_paused_by_the_command_line_and_resumed_by_rest(parts: Servers, tmp_path: Path) -> None:
    """The worker is replaced while the chain is held."""
    async with open_installation(parts, "five-sprints", tmp_path / "site") as site, serving_api(site) as api:
        worker = await site.start_worker()
        chain = await start(site, await a_chain(site, FIVE))
        await wait_for_started_runs(site, chain, 2)
        await signal(site, chain.id, "pause")
        held = await wait_for_status(site, chain, ChainStatus.paused)
        await worker.stop()
        await site.start_worker()
        count = len(await chain_runs(site, chain))
        await asyncio.sleep(1)
        assert len(await chain_runs(site, chain)) == count < FIVE
        resumed = await rest(site, api, "POST", held.project_id, f"{chain.id}/resume")
        assert resumed["status"] == "running"
        await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
        await holds(site, chain, FIVE)


async def test_deleted_in_the_middle_the_active_sprint_finishes(site: Installation, api: ApiServer) -> None:
    chain = await start(site, await a_chain(site, FIVE, SLOW))
    await wait_for_started_runs(site, chain, 2)
    await rest(site, api, "DELETE", chain.project_id, chain.id)
    row = await wait_for_status(site, chain, ChainStatus.cancelled, ChainStatus.completed)
    runs = await chain_runs(site, chain)
    assert (row.status, [run.status for run in runs]) == (ChainStatus.cancelled, [RunStatus.completed] * 2)
    assert row.sprint_pr_urls == [run.pr_url for run in runs]


async def test_failed_at_three_and_resumed_from_three_five_are_in_place(
    site: Installation, api: ApiServer
) -> None:
    """Sprint three is the one at index two."""
    chain = await start(site, await a_chain(site, FIVE, SLOW))
    await wait_for_started_runs(site, chain, 3)
    await site.handle((await chain_runs(site, chain))[2]).cancel()
    failed = await wait_for_status(site, chain, ChainStatus.failed)
    assert (failed.error_code, failed.current_sprint_index) == ("SPRINT_FAILED", 2)
    again = await rest(site, api, "POST", chain.project_id, f"{chain.id}/resume", resumeFromSprint=2)
    assert (again["status"], again["resumeFromSprint"]) == ("running", 2)
    await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
    await holds(site, chain, FIVE)
    assert len(await chain_runs(site, chain)) == FIVE + 1


async def test_a_long_chain_goes_on_in_a_new_workflow(
    parts: Servers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is held once on the way."""
    suggest_continue_as_new_after(FEW_EVENTS, monkeypatch, "SprintChain")
    async with open_installation(parts, "sprints-continued", tmp_path / "site") as site:
        main, agents, *_ = build_workers(site.client, site.settings, site.database)
        async with main, agents:
            chain = await start(site, await a_chain(site, FIVE))
            await wait_for_started_runs(site, chain, 3)
            handle = site.client.get_workflow_handle(chain.id)
            await handle.execute_update("pause")
            await wait_for_status(site, chain, ChainStatus.paused)
            await handle.execute_update("resume")
            await wait_for_status(site, chain, ChainStatus.completed, ChainStatus.failed)
            await holds(site, chain, FIVE)
            description = await handle.describe()
        assert description.raw_description.workflow_execution_info.first_run_id != description.run_id
