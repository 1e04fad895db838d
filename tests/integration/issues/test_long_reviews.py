"""An answering session waits for thirty days while its worker is replaced: time is skipped, not slept."""

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.jobs.launch import start_row
from kit.temporal import SEARCH_ATTRIBUTES
from models import AnsweringSession, Issue, Project
from models.issues.answering_session import AnsweringStatus
from models.issues.answering_session_start import create_answering_session
from models.issues.issue_session import IssueSessionStatus
from tests.integration.issues.test_answering_sessions import ANSWER, ASK, holds, questions_of, reaches, read
from tests.integration.issues.test_issue_sessions import a_scan
from tests.support.installation import Installation
from worker.main import build_workers

SERVER = shutil.which("temporal-test-server", path=str(Path(sys.executable).parent))


@asynccontextmanager
async def working(site: Installation, client: Client) -> AsyncIterator[None]:
    """A worker of the time-skipping engine on the site's database."""
    async with AsyncExitStack() as stack:
        for worker in build_workers(client, site.settings, site.database):
            await stack.enter_async_context(worker)
        yield


async def register(client: Client) -> None:
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    attributes = {key.name: keyword for key in SEARCH_ATTRIBUTES}
    ask = AddSearchAttributesRequest(namespace=client.namespace, search_attributes=attributes)
    await client.operator_service.add_search_attributes(ask)


async def a_session(site: Installation) -> AnsweringSession:
    """An answering session of a scan that is over."""
    scan = await a_scan(site, ASK)
    scan.mark_started()
    scan.close(IssueSessionStatus.completed)
    async with site.database.transaction() as session:
        scan = await session.merge(scan)
        session.add(Issue(project_id=scan.project_id, title=f"Forgotten {ANSWER}", session_id=scan.id))
        project = await session.get_one(Project, scan.project_id)
        return await create_answering_session(session, project, scan, default_model="claude-sonnet-5-5")


@pytest.mark.soak
async def test_reviews_may_take_thirty_days(site: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SERVER is not None
    # the time-skipping engine never takes a task back from a worker that is gone: no worker keeps any
    monkeypatch.setattr("worker.main.Worker", partial(Worker, max_cached_workflows=0))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=SERVER, data_converter=pydantic_data_converter
    ) as engine:
        await register(engine.client)
        row = await a_session(site)
        began = await engine.get_current_time()
        async with working(site, engine.client):
            with engine.auto_time_skipping_disabled():
                await start_row(engine.client, row)
                await reaches(site, row, AnsweringStatus.active)
        await engine.sleep(timedelta(days=30))
        async with working(site, engine.client):
            assert (await read(site, row)).status is AnsweringStatus.active
            handle = engine.client.get_workflow_handle(row.id)
            first, second = await questions_of(site, row)
            decline = [first.id, "declined", "No, in a cookie.", "user_1"]
            with engine.auto_time_skipping_disabled():
                await handle.execute_update("review", args=decline)
                await handle.execute_update("review", args=decline)
                with pytest.raises(WorkflowUpdateFailedError, match="Workflow update failed"):
                    await handle.execute_update("review", args=[first.id, "approved", "", "user_2"])
                await handle.execute_update("review", args=[second.id, "approved", "", "user_1"])
                await reaches(site, row, AnsweringStatus.completed, AnsweringStatus.failed)
        assert await engine.get_current_time() - began > timedelta(days=30)
    await holds(site, row)
