"""Commands that meet the end of a session, or each other, while they are being written down."""

from sqlmodel import col
from temporalio.api.enums.v1 import EventType as EngineEvent
from temporalio.client import WorkflowExecutionStatus

from models import AgentSession, Run
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario, with_delay

TWO_TURNS = register_scenario("two-turns", create("a.txt", "a\n"), with_delay(finish("Made it."), 1))
SIGNALED = EngineEvent.Value("EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED")
STARTED = EngineEvent.Value("EVENT_TYPE_WORKFLOW_TASK_STARTED")
THREE_TURNS = register_scenario(
    "three-turns", create("b.txt", "b\n"), with_delay(bash("echo c >> b.txt"), 12), finish("Made it.")
)


async def _at_work(site: Installation, scenario: str) -> Run:
    run = await site.start(f"Work {scenario}")
    await site.until(run, EventType.turn_completed)
    site.set_trap(f"note@{run.id}", "hold")
    return run


async def test_a_pause_that_outlasts_the_session_holds_the_run_and_ends_nothing(site: Installation) -> None:
    """By signal, as from the Web UI: the session is over when it would be told, and the run is not failed."""
    run = await _at_work(site, TWO_TURNS)
    await site.handle(run).signal("pause")
    await site.sprung(f"note@{run.id}")
    [agent] = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    session = site.client.get_workflow_handle(agent.id)

    async def is_over() -> bool:
        return (await session.describe()).status is WorkflowExecutionStatus.COMPLETED

    await wait_until(is_over, "the session ends while the pause is being written down")
    site.release(f"note@{run.id}")
    await site.until(run, EventType.run_paused)
    assert (await site.read(run)).status is RunStatus.paused
    await site.command(run, "resume")
    outcome = await outcome_of(site, run)
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    held = [EventType.run_paused, EventType.run_resumed, EventType.branch_pushed]
    assert [event for event in outcome.types if event in held] == held


async def test_a_resume_right_after_a_slow_pause_lets_the_run_go_on(site: Installation) -> None:
    """The workflow hears of the second signal while the first is still being written down."""
    run = await _at_work(site, THREE_TURNS)
    for command in ("pause", "resume"):
        await site.handle(run).signal(command)
        await site.sprung(f"note@{run.id}")

    async def is_heard() -> bool:
        kinds = [event.event_type async for event in site.handle(run).fetch_history_events()]
        signals = [place for place, kind in enumerate(kinds) if kind == SIGNALED]
        return len(signals) == 2 and STARTED in kinds[signals[1] :]

    await wait_until(is_heard, "the workflow hears of the second signal")
    site.release(f"note@{run.id}")
    outcome = await outcome_of(site, run)
    assert outcome.run.status is RunStatus.completed
    assert outcome.file("b.txt") == "b\nc\n"
