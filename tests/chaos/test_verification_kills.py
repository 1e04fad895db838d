"""A worker killed with -9 at the seams of a verification: what was pushed is verified once all the same."""

import asyncio
from asyncio import Task
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlmodel import col

from models import Verification
from models.blueprints.blueprint import BlueprintConfig, Verify
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.sandboxes.sandbox import SandboxPurpose, SandboxStatus
from models.verification.verification import VerificationStatus
from tests.support.installation import Installation, open_installation
from tests.support.outcomes import RunOutcome, outcome_of
from tests.support.scenarios import create, finish, register_scenario
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS

pytestmark = pytest.mark.soak

MADE = register_scenario("verified-once", create("made.txt", "1\n"), finish("Made it."))
ONCE = Verify(command="echo ran >> ~/count; sleep 4; [ $(wc -l < ~/count) = 1 ]", timeout_ms=60_000)
SEAMS = ["fresh-made", "within-a-verification", "verified", "fresh-killed"]


@pytest.fixture(scope="module")
async def outcomes(
    parts: Servers, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Task[RunOutcome]]]:
    """One site, one run and one kill for each seam, all at the same time."""
    directory = tmp_path_factory.mktemp("verification-kills")
    async with AsyncExitStack() as stack:
        sites = {
            seam: await stack.enter_async_context(
                open_installation(parts, f"verify-{seam}", directory / seam)
            )
            for seam in SEAMS
        }
        plays = {seam: asyncio.create_task(_play(site, seam)) for seam, site in sites.items()}
        yield plays
        await asyncio.wait(plays.values())


async def _play(site: Installation, seam: str) -> RunOutcome:
    site.set_trap(seam)
    run = await site.start(f"Make {MADE}", config=BlueprintConfig(verify=ONCE))
    worker = await site.start_worker()
    assert await worker.ended(TEST_TIMEOUT_SECONDS), f"the worker never came to {seam}"
    assert site.is_sprung(seam)
    await site.start_worker()
    return await outcome_of(site, run, TEST_TIMEOUT_SECONDS)


@pytest.mark.parametrize("seam", SEAMS)
async def test_verification_survives_the_kill_of_its_worker(
    outcomes: dict[str, Task[RunOutcome]], seam: str
) -> None:
    outcome = await outcomes[seam]
    run = outcome.run
    assert (run.status, run.pr_status, run.error_code) == (RunStatus.completed, PrStatus.created, None)
    of_run = col(Verification.run_id) == run.id
    [row] = await outcome.site.rows(Verification, of_run, col(Verification.number))
    assert (row.status, row.commit_sha) == (VerificationStatus.passed, run.head_sha)
    assert [(box.purpose, box.status) for box in outcome.sandboxes] == [
        (SandboxPurpose.work, SandboxStatus.killed),
        (SandboxPurpose.verification, SandboxStatus.killed),
    ]
    assert outcome.types.count(EventType.verification_started) == 1
    assert outcome.types.count(EventType.verification_passed) == 1
    assert outcome.types.count(EventType.pr_created) == 1
