"""A call that takes longer than its sandbox is kept."""

import pytest

from models.blueprints.blueprint import BlueprintConfig, SandboxConfig
from models.event import EventType
from models.runs.run import RunStatus
from tests.support.installation import Installation
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, finish, register_scenario

pytestmark = pytest.mark.soak
MINUTE = BlueprintConfig(sandbox=SandboxConfig(timeout_ms=60_000))
LONG = register_scenario(
    "ninety", bash("echo begun >> effects.txt; sleep 90; cat effects.txt"), finish("Waited.")
)


async def test_a_command_that_outlives_its_sandbox_s_time_ends_once(site: Installation) -> None:
    run = await site.start(f"Long {LONG}", config=MINUTE)
    outcome = await outcome_of(site, run, 300)
    assert outcome.types.count(EventType.sandbox_creating) == 1
    assert [(call.result, call.is_error) for call in outcome.calls[:1]] == [("begun", False)]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "TIME_LIMIT")
