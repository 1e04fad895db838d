"""The API killed with -9 around the commit of a run: the request is repeated, and there is one run."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from sqlmodel import col
from temporalio.service import RPCError, RPCStatusCode

from activities.reconcile.admission import START_SCHEDULE
from activities.reconcile.unstarted_rows import GRACE
from api.http.idempotency import ABANDONED_AFTER
from models import IdempotencyRecord, Run
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from tests.conftest import ProjectKey, make_project
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import create, finish, register_scenario

pytestmark = pytest.mark.soak

ASKED = register_scenario("asked", create("asked.txt", "asked\n"), finish("Made asked.txt."))
SEAMS = ["commit", "start", "started"]
BROKEN_OFF = (httpx.RemoteProtocolError, httpx.NetworkError)
"""What a client meets when the server dies: the connection ends, is reset, or is not made any more."""
Front = httpx.AsyncClient
Fronts = dict[str, Front]


@dataclass
class Request:
    """One POST of a run under one key, as often as it is sent."""

    site: Installation
    project: ProjectKey
    body: dict[str, str]
    key: str

    async def send(self, front: Front) -> httpx.Response:
        headers = {**self.project.headers, "Idempotency-Key": self.key}
        return await front.post("/api/v1/runs/start", json=self.body, headers=headers)

    async def runs(self) -> list[Run]:
        return await self.site.rows(Run, col(Run.project_id) == self.project.id, col(Run.id))

    async def grow_old(self) -> None:
        """As if the claim and the run had waited for longer than a living API lets them, and a sweep came."""
        async with self.site.database.transaction() as session:
            claim = await session.get_one(IdempotencyRecord, (self.project.id, self.project.key_id, self.key))
            claim.created_at -= ABANDONED_AFTER
            for run in await self.runs():
                (await session.get_one(Run, run.id)).created_at -= GRACE
        await wait_until(self._sweep, "the worker has a schedule for sweeps")

    async def _sweep(self) -> bool:
        try:
            await self.site.client.get_schedule_handle(START_SCHEDULE).trigger()
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True


@asynccontextmanager
async def api(site: Installation, traps: Path) -> AsyncIterator[Front]:
    """A process of the API, which dies where there is a trap, and a client of it."""
    traps.mkdir()
    async with (
        site.serving_api(TRAPS=str(traps)) as url,
        httpx.AsyncClient(base_url=url, trust_env=False, timeout=30) as front,
    ):
        yield front


@pytest.fixture(scope="module")
async def fronts(site: Installation, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fronts]:
    """One API to be killed at each seam, and one as it is, which is there when the others are gone."""
    traps = tmp_path_factory.mktemp("fronts")
    opening = {seam: api(site, traps / (seam or "none")) for seam in [*SEAMS, ""]}
    async with AsyncExitStack() as stack:
        entered = await asyncio.gather(*(stack.enter_async_context(each) for each in opening.values()))
        for seam in SEAMS:
            (traps / seam / f"{seam}.kill").touch()
        yield dict(zip(opening, entered, strict=True))


async def asking(site: Installation) -> Request:
    project = await make_project(site.database)
    blueprint = site.blueprint(project.id)
    await site.add(blueprint)
    url = f"{site.settings.github_url}/{await site.repository()}"
    key = uuid4().hex
    body = {"workflowId": blueprint.id, "prompt": f"Asked {ASKED} {key}", "githubRepoUrl": url}
    return Request(site, project, body, key)


async def killed(request: Request, fronts: Fronts, seam: str) -> None:
    """The API dies of the request; its repetition is told to wait, as nobody knows that yet."""
    for _ in range(2):
        with pytest.raises(BROKEN_OFF):
            await request.send(fronts[seam])
    answer = await request.send(fronts[""])
    assert (answer.status_code, answer.headers["Retry-After"]) == (409, "1")
    assert answer.json()["error"]["retryable"] is True


async def holds(request: Request, outcome: RunOutcome) -> None:
    assert [run.id for run in await request.runs()] == [outcome.run.id]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert outcome.file("asked.txt") == "asked\n"
    assert outcome.branches == [outcome.run.branch_name]
    assert len(outcome.pulls) == 1
    assert outcome.types.count(EventType.run_started) == 1
    assert len(outcome.sandboxes) == 1


@pytest.mark.parametrize("seam", ["start", "started"])
async def test_a_run_whose_api_died_after_the_commit_needs_no_other_request(
    site: Installation, fronts: Fronts, seam: str
) -> None:
    request = await asking(site)
    await killed(request, fronts, seam)
    [run] = await request.runs()
    await request.grow_old()
    outcome = await outcome_of(site, run)
    repeated = await request.send(fronts[""])
    assert (repeated.status_code, repeated.headers["Idempotent-Replayed"]) == (201, "true")
    assert repeated.json()["data"]["id"] == run.id
    await holds(request, outcome)


async def test_a_request_whose_api_died_before_the_commit_starts_afresh(
    site: Installation, fronts: Fronts
) -> None:
    request = await asking(site)
    await killed(request, fronts, "commit")
    assert await request.runs() == []
    await request.grow_old()
    taken_over, replayed = await request.send(fronts[""]), await request.send(fronts[""])
    assert [answer.status_code for answer in (taken_over, replayed)] == [201, 201]
    assert "Idempotent-Replayed" not in taken_over.headers
    assert replayed.headers["Idempotent-Replayed"] == "true"
    assert replayed.content == taken_over.content
    [run] = await request.runs()
    assert taken_over.json()["data"]["id"] == run.id
    await holds(request, await outcome_of(site, run))
