"""Issue sessions on the real site: issues appear while the scan runs, each once, whoever dies when."""

from pathlib import Path

import pytest
from sqlmodel import col

from activities.jobs.launch import start_row
from activities.reconcile.admission import START_SCHEDULE
from models import Event, Issue, IssueSession, Project, Sandbox, UsageRecord
from models.issues.issue import IssueStatus
from models.issues.issue_session import IssueSessionStatus
from models.issues.issue_session_start import IssueSessionStart, create_issue_session
from models.sandboxes.sandbox import SandboxStatus
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.scenarios import bash, finish, register_scenario, tool_calls, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS


def report(title: str, priority: str = "high") -> tuple[str, dict[str, object]]:
    return "report_issue", {
        "title": title,
        "description": f"{title}: see greet.py",
        "priority": priority,
        "suggested_prompt": f"Fix: {title}",
    }


SCAN = register_scenario(
    "scan",
    tool_calls(report("Nobody is greeted by name")),
    tool_calls(report("The greeting has no test"), report("nobody is GREETED, by name!")),
    with_delay(bash("cat greet.py"), 1.0),
    finish("Read greet.py.", questions=["Who runs it?"], assumptions=["It is run by people."]),
)
CLEAN = register_scenario("clean-scan", bash("cat greet.py"), finish("Read greet.py."))
BROKEN = register_scenario(
    "broken-scan",
    tool_calls(("report_issue", {"title": "x"})),
    tool_calls(("report_issue", {"title": "x", "description": "x", "priority": "urgent"})),
    finish("Gave up."),
)
ENDLESS = register_scenario(
    "endless-scan", tool_calls(report("Found before the cancel")), bash("sleep 60"), finish()
)


async def a_scan(site: Installation, word: str, project: Project | None = None) -> IssueSession:
    """A pending issue session, as the API leaves it when it is killed before the start."""
    project = project or await site.project()
    slug = await site.repository()
    async with site.database.transaction() as session:
        return await create_issue_session(
            session,
            project,
            IssueSessionStart(prompt=f"Look {word}"),
            repository_slug=slug,
            repository_url=f"{site.settings.github_url}/{slug}",
            default_model=site.settings.default_model,
        )


async def start(site: Installation, scan: IssueSession) -> IssueSession:
    await start_row(site.client, scan)
    return scan


async def read(site: Installation, scan: IssueSession) -> IssueSession:
    [row] = await site.rows(IssueSession, col(IssueSession.id) == scan.id, col(IssueSession.id))
    return row


async def issues_of(site: Installation, scan: IssueSession) -> list[Issue]:
    return await site.rows(Issue, col(Issue.session_id) == scan.id, col(Issue.id))


async def ended(
    site: Installation, scan: IssueSession, patience: float = TEST_TIMEOUT_SECONDS
) -> IssueSession:
    """The session once it is over; asserts what holds for every one."""

    async def is_over() -> bool:
        return (await read(site, scan)).is_finished

    await wait_until(is_over, f"{scan.id} is over", patience)
    row = await read(site, scan)
    boxes = await site.rows(Sandbox, col(Sandbox.job_id) == scan.id, col(Sandbox.id))
    assert all(box.status in (SandboxStatus.killed, SandboxStatus.error) for box in boxes)
    assert await site.sandboxes.find({"job": scan.id}) == []
    events = await site.rows(Event, col(Event.subject_id) == scan.id, col(Event.seq))
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "issue-session.ended"
    assert row.issue_count == len(await issues_of(site, scan))
    return row


async def found(site: Installation, scan: IssueSession, count: int) -> None:
    async def are_there() -> bool:
        return len(await issues_of(site, scan)) >= count

    await wait_until(are_there, f"{count} issues")


async def holds(site: Installation, scan: IssueSession) -> None:
    """As the scenario `scan` ends: two issues, the third was one of them in other words."""
    row = await ended(site, scan)
    assert (row.status, row.error_code) == (IssueSessionStatus.completed, None)
    assert row.summary == "2 issues found. Read greet.py."
    assert (row.questions, row.assumptions) == (["Who runs it?"], ["It is run by people."])
    issues = await issues_of(site, scan)
    titles = sorted(issue.title for issue in issues)
    assert titles == [
        "Nobody is greeted by name",
        "The greeting has no test",
    ]
    assert {issue.status for issue in issues} == {IssueStatus.new}
    assert all(issue.suggested_prompt == f"Fix: {issue.title}" for issue in issues)


async def test_issues_appear_while_it_looks(site: Installation) -> None:
    scan = await start(site, await a_scan(site, SCAN))
    await found(site, scan, 1)
    assert (await read(site, scan)).status is IssueSessionStatus.active
    await holds(site, scan)
    used = await site.rows(UsageRecord, col(UsageRecord.issue_session_id) == scan.id, col(UsageRecord.id))
    assert {each.service for each in used} == {"anthropic", "e2b"}
    assert (await read(site, scan)).cost_usd > 0


async def test_what_is_known_is_not_reported_again(site: Installation) -> None:
    project = await site.project()
    first = await start(site, await a_scan(site, SCAN, project))
    await holds(site, first)
    second = await ended(site, await start(site, await a_scan(site, SCAN, project)))
    assert second.summary == "No issues found. Read greet.py."
    known = (await issues_of(site, first))[0]
    async with site.database.transaction() as session:
        (await session.get_one(Issue, known.id, with_for_update=True)).change(status=IssueStatus.completed)
    third = await ended(site, await start(site, await a_scan(site, SCAN, project)))
    assert third.issue_count == 1, "what was mended may come back"


async def test_finding_nothing_is_a_success_that_says_so(site: Installation) -> None:
    row = await ended(site, await start(site, await a_scan(site, CLEAN)))
    assert (row.status, row.summary) == (IssueSessionStatus.completed, "No issues found. Read greet.py.")


async def test_a_report_that_does_not_fit_goes_back_to_the_model(site: Installation) -> None:
    row = await ended(site, await start(site, await a_scan(site, BROKEN)))
    assert (row.status, row.issue_count) == (IssueSessionStatus.completed, 0)


async def test_cancelled_it_keeps_what_it_found(site: Installation) -> None:
    scan = await start(site, await a_scan(site, ENDLESS))
    await found(site, scan, 1)
    await site.client.get_workflow_handle(scan.id).cancel()
    row = await ended(site, scan)
    assert (row.status, row.issue_count, row.summary) == (IssueSessionStatus.cancelled, 1, None)


async def test_left_pending_it_is_started_by_the_sweep(site: Installation) -> None:
    scan = await a_scan(site, CLEAN)
    async with site.database.transaction() as session:
        row = await session.get_one(IssueSession, scan.id)
        row.created_at = row.created_at.replace(year=2020)
    await site.client.get_schedule_handle(START_SCHEDULE).trigger()
    assert (await ended(site, scan)).status is IssueSessionStatus.completed


@pytest.mark.soak
@pytest.mark.parametrize("seam", ["sandbox-made", "answered"])
async def test_it_survives_the_kill_of_its_worker(parts: Servers, tmp_path: Path, seam: str) -> None:
    async with open_installation(parts, f"scan-{seam}", tmp_path / "site") as site:
        site.set_trap(seam)
        scan = await start(site, await a_scan(site, SCAN))
        worker = await site.start_worker()
        assert await worker.ended(60), f"the worker never came to {seam}"
        await site.start_worker()
        await holds(site, scan)
