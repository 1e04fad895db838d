"""The gate of a run: the platform runs the blueprint's command on the pushed commit, in a fresh sandbox."""

from asyncio import Task

import pytest
from sqlmodel import col

from models import FollowUp, Run, Verification
from models.agent.session import MessageSource
from models.blueprints.blueprint import AutoFixCi, BlueprintConfig, Verify
from models.event import EventType
from models.runs.run import PrStatus, RunStatus
from models.runs.run_step import StepStatus
from models.sandboxes.sandbox import SandboxPurpose, SandboxStatus
from models.verification.verification import VerificationStatus
from tests.integration.verification.test_fresh_sandboxes import FORGERY
from tests.support.github import FILES_WITH_CI, ForgeRepository, serving_api, wait_for_hints_read
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import RunOutcome, outcome_of, start_outcomes
from tests.support.pull_requests import make_key_headers
from tests.support.scenarios import bash, create, finish, register_scenario
from tests.support.waiting import TEST_TIMEOUT_SECONDS

UNIT = """\
import unittest


class Sum(unittest.TestCase):
    def test_sum(self):
        self.assertEqual(1 + 1, 2)
"""
TESTED = register_scenario(
    "gate-tested", create("test_sum.py", UNIT), create("sum.py", "1\n"), finish("Tested.")
)
FIXED = register_scenario("gate-fixed", bash("echo 2 >> work.txt"), finish("Fixed it."), told="First attempt")
register_scenario("gate-fixed", create("work.txt", "1\n"), finish("First attempt."))
STUCK = register_scenario(
    "gate-stuck", bash("date +%N >> work.txt"), finish("Tried again."), told="First attempt"
)
register_scenario("gate-stuck", create("work.txt", "1\n"), finish("First attempt."))
IDLE = register_scenario("gate-idle", bash("true"), finish("It is not my fault."), told="First attempt")
register_scenario("gate-idle", create("work.txt", "1\n"), finish("First attempt."))
GIVES_UP = register_scenario(
    "gate-gives-up", {"toolCalls": [], "text": "Shall I go on?"}, told="First attempt"
)
register_scenario("gate-gives-up", create("work.txt", "1\n"), finish("First attempt."))
FORGED = register_scenario(
    "gate-forged",
    create("test_forged.py", FORGERY),
    bash("python3 -m unittest test_forged || true"),
    finish("All tests pass."),
)
IGNORED = register_scenario(
    "gate-ignored", bash("echo built > build.bin; echo build.bin > .gitignore"), finish("Built it.")
)
SLOWLY = register_scenario(
    "gate-slowly", bash("sleep 20; echo 2 >> work.txt"), finish("Fixed."), told="First attempt"
)
register_scenario("gate-slowly", create("work.txt", "1\n"), finish("First attempt."))
NOTHING = register_scenario("gate-nothing", bash("ls"), finish("There was nothing to do."))
HAS_TWO = "cat work.txt; grep -q 2 work.txt"
NEVER = "echo 'it is `red` in ```here```'; exit 7"
"""For ten runs at once, each with several sandboxes."""
Outcomes = dict[str, Task[RunOutcome]]


def gate(
    command: str, *, timeout_ms: int = 60_000, max_attempts: int = 2, **config: object
) -> BlueprintConfig:
    verify = Verify(command=command, timeout_ms=timeout_ms, max_attempts=max_attempts)
    return BlueprintConfig.model_validate({"verify": verify, **config})


async def verifications(site: Installation, run: Run) -> list[Verification]:
    return await site.rows(Verification, col(Verification.run_id) == run.id, col(Verification.number))


async def messages(site: Installation, run: Run) -> list[FollowUp]:
    return await site.rows(FollowUp, col(FollowUp.job_id) == run.id, col(FollowUp.id))


@pytest.fixture(scope="module")
async def outcomes(site: Installation) -> Outcomes:
    suite = "python3 -m unittest -v"
    return start_outcomes(
        site,
        TEST_TIMEOUT_SECONDS,
        tested=site.start(f"Test {TESTED}", config=gate(suite)),
        fixed=site.start(f"Fix {FIXED}", config=gate(HAS_TWO)),
        stuck=site.start(f"Stuck {STUCK}", config=gate(NEVER)),
        idle=site.start(f"Idle {IDLE}", config=gate(HAS_TWO)),
        gives_up=site.start(f"Give up {GIVES_UP}", config=gate(HAS_TWO)),
        forged=site.start(f"Forge {FORGED}", config=gate(suite, max_attempts=0)),
        ignored=site.start(f"Ignore {IGNORED}", config=gate("cat build.bin", max_attempts=0)),
        slow=site.start(f"Slow {TESTED}", config=gate("echo begun; sleep 60", timeout_ms=1_000)),
        branch=site.start(f"Only push {TESTED}", config=gate(suite, create_pr=False)),
        nothing=site.start(f"Do nothing {NOTHING}", config=gate(suite)),
    )


async def test_gate_that_passes_is_shown_with_its_tests(outcomes: Outcomes) -> None:
    outcome = await outcomes["tested"]
    run, site = outcome.run, outcome.site
    assert (run.status, run.pr_status) == (RunStatus.completed, PrStatus.created)
    [row] = await verifications(site, run)
    assert (row.status, row.exit_code, row.reason) == (VerificationStatus.passed, 0, None)
    assert row.commit_sha == run.head_sha
    assert row.tests == {"total": 1, "passed": 1, "failed": 0, "skipped": 0}
    assert row.test_files == ["test_sum.py"]
    assert row.duration_ms is not None
    assert "Ran 1 test" in str(row.output)
    [pull] = outcome.pulls
    assert pull["draft"] is False
    body = str(pull["body"])
    assert f"✅ `python3 -m unittest -v` passed on {str(run.head_sha)[:12]}" in body
    assert "1 tests, 1 passed" in body
    assert "The change touches tests: `test_sum.py`." in body
    assert [box.purpose for box in outcome.sandboxes] == [SandboxPurpose.work, SandboxPurpose.verification]
    kinds = [kind for kind in outcome.types if kind.startswith(("verification", "branch", "pr"))]
    assert kinds == [
        EventType.branch_pushed,
        EventType.verification_started,
        EventType.verification_passed,
        EventType.pr_created,
    ]


async def test_gate_that_fails_goes_back_to_the_agent(outcomes: Outcomes) -> None:
    outcome = await outcomes["fixed"]
    run, site = outcome.run, outcome.site
    assert (run.status, outcome.pulls[0]["draft"]) == (RunStatus.completed, False)
    first, second = await verifications(site, run)
    assert (first.status, first.exit_code) == (VerificationStatus.void, 1)
    assert first.voided_at is not None
    assert (second.status, second.commit_sha) == (VerificationStatus.passed, run.head_sha)
    [message] = await messages(site, run)
    assert message.source is MessageSource.platform
    assert first.commit_sha in message.content
    assert '<output of="cat work.txt; grep -q 2 work.txt">\n1\n' in message.content
    assert message.sequence is not None, "the agent was told"
    assert outcome.file("work.txt") == "1\n2\n"
    assert outcome.git("rev-parse", f"{run.branch_name}^").strip() == first.commit_sha
    kinds = [kind for kind in outcome.types if kind.startswith("verification")]
    assert kinds == [
        EventType.verification_started,
        EventType.verification_failed,
        EventType.verification_voided,
        EventType.verification_started,
        EventType.verification_passed,
    ]


async def test_gate_that_fails_always_leaves_a_draft_that_says_so(outcomes: Outcomes) -> None:
    outcome = await outcomes["stuck"]
    run, [pull] = outcome.run, outcome.pulls
    assert (run.status, run.error_code, pull["draft"]) == (RunStatus.completed, None, True)
    rows = await verifications(outcome.site, run)
    assert [row.status for row in rows] == [*2 * [VerificationStatus.void], VerificationStatus.failed]
    assert len(await messages(outcome.site, run)) == 2
    assert f"failed on {str(run.head_sha)[:12]} with exit code 7" in str(pull["body"])
    assert "````text\nit is `red` in ```here```" in str(pull["body"])


async def test_agent_that_changes_nothing_is_not_asked_again(outcomes: Outcomes) -> None:
    outcome = await outcomes["idle"]
    [row] = await verifications(outcome.site, outcome.run)
    assert row.status is VerificationStatus.failed
    assert outcome.pulls[0]["draft"] is True


async def test_agent_that_cannot_fix_it_ends_no_run(outcomes: Outcomes) -> None:
    outcome = await outcomes["gives_up"]
    assert (outcome.run.status, outcome.pulls[0]["draft"]) == (RunStatus.completed, True)
    [row] = await verifications(outcome.site, outcome.run)
    assert "The agent could not fix it" in str(row.reason)
    assert "The agent could not fix it" in str(outcome.pulls[0]["body"])
    assert outcome.types.count(EventType.verification_given_up) == 1
    assert [step.status for step in outcome.steps] == [StepStatus.completed, StepStatus.failed]


async def test_forged_toolbox_passes_no_gate(outcomes: Outcomes) -> None:
    outcome = await outcomes["forged"]
    [row] = await verifications(outcome.site, outcome.run)
    assert row.status is VerificationStatus.failed
    assert row.tests == {"total": 1, "passed": 0, "failed": 1, "skipped": 0}
    assert outcome.pulls[0]["draft"] is True
    assert await messages(outcome.site, outcome.run) == []


async def test_gate_sees_only_what_is_committed(outcomes: Outcomes) -> None:
    outcome = await outcomes["ignored"]
    [row] = await verifications(outcome.site, outcome.run)
    assert row.status is VerificationStatus.failed
    assert "No such file" in str(row.output)


async def test_gate_that_takes_too_long_is_no_failure_of_the_change(outcomes: Outcomes) -> None:
    outcome = await outcomes["slow"]
    [row] = await verifications(outcome.site, outcome.run)
    assert (row.status, row.exit_code) == (VerificationStatus.timed_out, None)
    assert str(row.output).startswith("begun")
    assert (outcome.run.status, outcome.pulls[0]["draft"]) == (RunStatus.completed, True)
    assert "did not end on" in str(outcome.pulls[0]["body"])
    assert await messages(outcome.site, outcome.run) == []
    assert outcome.types.count(EventType.verification_errored) == 1


async def test_branch_without_a_pull_request_is_verified_too(outcomes: Outcomes) -> None:
    outcome = await outcomes["branch"]
    [row] = await verifications(outcome.site, outcome.run)
    assert (row.status, outcome.pulls) == (VerificationStatus.passed, [])


async def test_nothing_is_verified_when_nothing_was_changed(outcomes: Outcomes) -> None:
    outcome = await outcomes["nothing"]
    assert await verifications(outcome.site, outcome.run) == []
    assert outcome.run.pr_status is PrStatus.skipped


async def test_lost_sandbox_of_a_verification_is_made_anew(site: Installation) -> None:
    run = await site.start(f"Lose {TESTED}", config=gate("sleep 5; python3 -m unittest", timeout_ms=120_000))
    await site.until(run, EventType.verification_started)
    marker = {"job": run.id, "purpose": SandboxPurpose.verification}

    async def is_made() -> bool:
        return bool(await site.sandboxes.find(marker))

    await wait_until(is_made, "the sandbox of the verification")
    await site.until(run, EventType.repository_cloned, count=2)
    await site.sandboxes.kill_all(marker)
    outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
    [row] = await verifications(site, run)
    assert (row.status, outcome.pulls[0]["draft"]) == (VerificationStatus.passed, False)
    boxes = [box for box in outcome.sandboxes if box.purpose is SandboxPurpose.verification]
    assert [box.status for box in boxes] == [SandboxStatus.error, SandboxStatus.killed]
    assert {box.commit_sha for box in boxes} == {row.commit_sha}


async def test_cancelled_run_waits_for_no_verification(site: Installation) -> None:
    run = await site.start(f"Cancel {TESTED}", config=gate("sleep 100", timeout_ms=120_000))
    await site.until(run, EventType.repository_cloned, count=2)
    await site.handle(run).cancel()
    outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
    [row] = await verifications(site, run)
    assert (outcome.run.status, row.status) == (RunStatus.cancelled, VerificationStatus.error)
    assert row.reason == "The run ended before it did."
    assert outcome.pulls == []


@pytest.mark.soak
async def test_run_that_is_stopped_while_it_fixes_opens_no_pull_request(site: Installation) -> None:
    run = await site.start(f"Stop {SLOWLY}", config=gate(HAS_TWO))
    await site.until(run, EventType.step_started, count=2)
    await site.command(run, "graceful_stop")
    outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
    assert (outcome.run.status, outcome.pulls) == (RunStatus.cancelled, [])
    assert outcome.run.head_sha is not None


async def test_later_push_by_others_voids_what_was_verified(site: Installation) -> None:
    run = (
        await outcome_of(site, await site.start(f"Void {TESTED}", config=gate("true")), TEST_TIMEOUT_SECONDS)
    ).run
    github, sha = ForgeRepository(site, run.repository_slug), str(run.head_sha)
    later = await github.commit(sha, {"later.txt": "1\n"}, "Later")
    await github.move(str(run.branch_name), later)
    moved = {"ref": f"refs/heads/{run.branch_name}", "before": sha, "after": later}
    other = {"ref": "refs/heads/other", "before": sha, "after": later}
    stale = {"ref": f"refs/heads/{run.branch_name}", "before": 40 * "0", "after": sha}

    async def status() -> VerificationStatus:
        [row] = await verifications(site, run)
        return row.status

    async with serving_api(site) as api:
        headers = await make_key_headers(site, run.project_id)
        shown = await api.http.get("/api/v1/runs/get", params={"id": run.id}, headers=headers)
        assert shown.json()["data"]["verification"]["status"] == "passed"
        for payload in (other, stale):
            await api.tell("push", run.repository_slug, **payload)
            await wait_for_hints_read(site, run)
            assert await status() is VerificationStatus.passed
        for _ in range(2):
            await api.tell("push", run.repository_slug, **moved)
            await wait_for_hints_read(site, run)
            assert await status() is VerificationStatus.void
        shown = await api.http.get("/api/v1/runs/get", params={"id": run.id}, headers=headers)
        verification = shown.json()["data"]["verification"]
        assert (verification["status"], verification["exitCode"]) == ("void", 0)
        assert verification["voidedAt"] is not None
    [event] = [each for each in await site.events(run) if each.type == EventType.verification_voided]
    assert event.data["headSha"] == later


@pytest.mark.soak
async def test_later_push_to_the_pull_request_voids_it_too(site: Installation) -> None:
    run = (
        await outcome_of(site, await site.start(f"Void {TESTED}", config=gate("true")), TEST_TIMEOUT_SECONDS)
    ).run
    pull, github, sha = (
        {"number": run.pr_number},
        ForgeRepository(site, run.repository_slug),
        str(run.head_sha),
    )
    later = await github.commit(sha, {"later.txt": "1\n"}, "Later")
    await github.move(str(run.branch_name), later)
    async with serving_api(site) as api:
        await api.tell(
            "pull_request",
            run.repository_slug,
            action="synchronize",
            pull_request=pull,
            before=sha,
            after=later,
        )
        await wait_for_hints_read(site, run)
    [row] = await verifications(site, run)
    assert row.status is VerificationStatus.void


async def test_fix_of_ci_is_verified_and_the_pull_request_says_so(site: Installation) -> None:
    fixes = AutoFixCi(enabled=True, max_attempts=1)
    run = await site.start(
        f"Fix {FIXED}",
        repository=await site.repository(FILES_WITH_CI),
        config=gate("cat work.txt", auto_fix_ci=fixes),
    )
    github = ForgeRepository(site, run.repository_slug)
    shas = []
    for push, conclusion in ((1, "failure"), (2, "success")):
        pushed = await site.until(run, EventType.branch_pushed, count=push)
        shas.append(str(pushed.data["sha"]))
        await github.end_check(await github.begin_check(shas[-1]), conclusion, "2 is missing")
    outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
    first, second = await verifications(site, run)
    assert [first.commit_sha, second.commit_sha] == shas
    assert (first.status, second.status) == (VerificationStatus.void, VerificationStatus.passed)
    body = str(outcome.pulls[0]["body"])
    assert f"passed on {shas[1][:12]}" in body
    assert shas[0][:12] not in body
    assert run.id in body


@pytest.mark.soak
async def test_fix_that_fails_the_gate_makes_a_draft_until_one_passes(site: Installation) -> None:
    """One line passes, two fail, three pass."""
    run = await site.start(
        f"Fix {FIXED}",
        repository=await site.repository(FILES_WITH_CI),
        config=gate(
            "test $(wc -l < work.txt) -ne 2",
            max_attempts=0,
            auto_fix_ci=AutoFixCi(enabled=True, max_attempts=2),
        ),
    )
    github = ForgeRepository(site, run.repository_slug)

    async def is_draft() -> bool:
        number = (await site.read(run)).pr_number
        return number is not None and bool((await github.pull(number))["draft"])

    for push, conclusion, log in (
        (1, "failure", "it is red"),
        (2, "failure", "it is blue"),
        (3, "success", ""),
    ):
        pushed = await site.until(run, EventType.branch_pushed, count=push)
        if push == 2:
            await wait_until(is_draft, "the pull request is a draft")
        check = await github.begin_check(str(pushed.data["sha"]))
        await github.end_check(check, conclusion, log)
    outcome = await outcome_of(site, run, TEST_TIMEOUT_SECONDS)
    statuses = [row.status for row in await verifications(site, run)]
    assert statuses == [VerificationStatus.void, VerificationStatus.void, VerificationStatus.passed]
    assert outcome.pulls[0]["draft"] is False
