"""The page on operations, executed as written; what takes long is begun first and told of when it is done."""

from datetime import UTC, datetime
from typing import cast

import pytest
from pydantic import JsonValue

from tests.integration.stack.tutorial.forge import Forge
from tests.integration.stack.tutorial.pages import Json, Page, open_page, wait_until
from tests.integration.stack.tutorial.shown import assert_agrees, assert_same_shape
from tests.support.detached_stack import DetachedStack

pytestmark = pytest.mark.stack
BASE = "feature/validation-migration"
CHAIN, CHAINS = "GET /api/v1/sprint-chains/:id", "GET /api/v1/sprint-chains"
TASK, TOGGLE = "GET /api/v1/recurring-tasks/:id", "PUT /api/v1/recurring-tasks/:id/toggle"
PULLS = "GET /api/v1/pull-requests"
UNREAD, COUNT = "GET /api/v1/notifications/list", "GET /api/v1/notifications/unread-count"
USAGE, COUNTERS = "GET /api/v1/analytics/usage", "GET /api/v1/analytics/counters"
TRASH, TRASH_OF_RUNS = "GET /api/v1/trash/list", "GET /api/v1/trash"
RESTORE, RESTORE_BY_PATH = "POST /api/v1/trash/restore", "POST /api/v1/trash/:type/:id/restore"
PURGE, PURGE_BY_PATH = "POST /api/v1/trash/permanent-delete", "DELETE /api/v1/trash/:type/:id"


@pytest.fixture(scope="module")
def page(stack: DetachedStack, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return open_page("operations.md", stack, tmp_path_factory.mktemp("operations"))


@pytest.fixture(scope="module")
def workflow(stack: DetachedStack) -> str:
    workflow, *_ = cast("list[Json]", stack.get("workflows/list"))
    return str(workflow["id"])


@pytest.fixture(scope="module")
def run_id(stack: DetachedStack, workflow: str) -> str:
    """The run of which the page tells, started."""
    return stack.start_run("Add dark mode toggle", workflow)


@pytest.fixture(scope="module")
def other_id(stack: DetachedStack, workflow: str) -> str:
    """Another run, whose pull request is merged with one of a sprint's."""
    return stack.start_run("Add keyboard shortcuts", workflow)


@pytest.fixture(scope="module")
def chains(page: Page, forge: Forge, workflow: str, run_id: str, other_id: str) -> list[str]:
    """The chain that the page starts, and one of its last two sprints, both started."""
    forge.branch(BASE)
    create = "POST /api/v1/sprint-chains"
    started = [page.send(create, {"wf_...": workflow} | each) for each in ({}, {"[1, 5]": "[4, 5]"})]
    assert [chain["status"] for chain in started] == ["running", "running"]
    return [str(chain["id"]) for chain in started]


def test_a_chain_that_is_deleted_lets_the_active_sprint_finish(page: Page, chains: list[str]) -> None:
    chain = {"sc_...": chains[0]}
    active = wait_until(lambda: page.send(CHAIN, chain), lambda row: row["sprintPrUrls"])
    assert_same_shape(page.object("Sprint Chain Object"), active)
    deleted = page.send("DELETE /api/v1/sprint-chains/:id", chain)
    ended = wait_until(lambda: page.send(CHAIN, chain), lambda row: row["completedAt"])
    assert ended["status"] == "cancelled"
    done = cast("list[str]", ended["sprintPrUrls"])
    assert len(done) == cast("int", deleted["currentSprintIndex"]) + 1, "the active sprint finished, no other"
    assert all(done)


def test_a_recurring_task_is_planned_changed_switched_and_fired(
    stack: DetachedStack, page: Page, workflow: str, chains: list[str]
) -> None:
    made = page.send("POST /api/v1/recurring-tasks", {"wf_...": workflow})
    task = {"rt_...": str(made["id"])}
    assert_same_shape(page.object("Recurring Task Object"), made)
    first = at(made)
    assert (made["isActive"], first.hour, first.minute) == (True, 6, 0)
    assert first.weekday() == datetime.now(UTC).weekday()
    assert made["id"] in [row["id"] for row in page.all("GET /api/v1/recurring-tasks")]

    changed = page.send("PUT /api/v1/recurring-tasks/:id", task)
    assert_agrees({"frequency": "biweekly", "scheduledHour": 9, "timezone": "Europe/London"}, changed)
    assert at(changed).hour in (8, 9)
    assert at(changed) != first
    off, on = page.send(TOGGLE, task), page.send(TOGGLE, task, 1)
    assert (off["isActive"], on["isActive"]) == (False, True)
    assert at(page.send(TASK, task)) == at(changed)

    fired = cast("Json", stack.post(f"recurring-tasks/{made['id']}/trigger", {}))
    assert (fired["recurrencePattern"], fired["recurringTaskId"]) == ("biweekly", made["id"])
    assert fired["scheduledFor"]
    page.send("DELETE /api/v1/recurring-tasks/:id", task)
    assert page.answer(TASK, task)[0] == 404
    assert stack.ended(str(fired["id"]))["prStatus"] == "created", "what is in progress goes on"


def test_a_pull_request_waits_for_ci_and_is_merged_when_it_passes(
    stack: DetachedStack, page: Page, forge: Forge, chains: list[str], run_id: str
) -> None:
    """Nobody asks twice: the forge tells of the check, by its webhook."""
    run = stack.ended(run_id)
    sha = forge.sha(str(run["branchName"]))
    forge.check(sha, "failure")
    job = page.send("POST /api/v1/pull-requests/:id/merge", {"r_...": run_id})
    assert job["status"] == "running"
    wait_until(lambda: stack.run(run_id), lambda row: row["prStatus"] == "blocked_on_ci")
    [blocked] = [row for row in page.all(PULLS) if row["runId"] == run_id]
    assert_same_shape(page.object(PULLS), {"data": cast("JsonValue", [blocked])})
    assert_agrees(
        {"runName": "Add dark mode toggle", "prUrl": f"{forge.url}/pull/{run['prNumber']}"}, blocked
    )
    failed: Json = {"name": "test", "status": "failure", "conclusion": "failure"}
    assert_agrees({"status": "failed", "checks": [failed]}, blocked["ciChecks"])

    forge.check(sha, "success")
    merged = wait_until(lambda: merge_job(page, job), lambda row: row["status"] != "running")
    assert (merged["status"], merged["headSha"]) == ("completed", sha), merged
    there = forge.pull(run["prNumber"])
    assert (there["merged"], there["merge_commit_sha"]) == (True, merged["mergeSha"])
    assert stack.run(run_id)["prStatus"] == "merged"


def test_a_sprint_chain_runs_its_sprints_one_after_another(
    stack: DetachedStack, page: Page, forge: Forge, chains: list[str]
) -> None:
    assert set(chains) <= {str(row["id"]) for row in page.all(CHAINS)}
    chain = wait_until(lambda: page.send(CHAIN, {"sc_...": chains[1]}), lambda row: row["completedAt"])
    assert (chain["status"], chain["sprintRange"]) == ("completed", [4, 5]), chain
    runs = [stack.run(run_id) for run_id in cast("list[str]", chain["sprintRunIds"])]
    assert [run["prUrl"] for run in runs] == chain["sprintPrUrls"]
    assert [run["source"] for run in runs] == ["sprint_chain", "sprint_chain"]
    assert [cast("Json", forge.pull(run["prNumber"])["base"])["ref"] for run in runs] == [BASE, BASE]


def test_branches_are_listed_and_one_is_deleted(page: Page, forge: Forge) -> None:
    sha = forge.branch("feature/dark-mode")
    listed = page.all("GET /api/v1/branches")
    by_name = {row["name"]: row for row in listed}
    assert (by_name["feature/dark-mode"]["sha"], by_name["main"]["isDefault"]) == (sha, True)
    delete = "DELETE /api/v1/branches/:name"
    assert page.send(delete)["name"] == "feature/dark-mode"
    assert "feature/dark-mode" not in {row["name"] for row in page.all("GET /api/v1/branches")}
    assert page.answer(delete, {"feature%2Fdark-mode": "main"})[0] == 403


def test_pull_requests_are_merged_into_one(
    stack: DetachedStack, page: Page, forge: Forge, chains: list[str], other_id: str
) -> None:
    chain = page.send(CHAIN, {"sc_...": chains[1]})
    runs = [stack.run(run_id) for run_id in (other_id, cast("list[str]", chain["sprintRunIds"])[0])]
    values = {
        f'"https://github.com/org/repo/pull/{place}", "prNumber": {place}': f'"{url}", "prNumber": {number}'
        for place, (url, number) in enumerate([(run["prUrl"], run["prNumber"]) for run in runs], 1)
    }
    job = page.send("POST /api/v1/merging/start", values)
    assert job["status"] == "running"
    merged = wait_until(lambda: merge_job(page, job), lambda row: row["completedAt"])
    assert (merged["status"], merged["conflicts"]) == ("completed", []), merged
    unified = str(merged["prUrl"]).rsplit("/", 1)[1]
    assert forge.files(unified) == set.union(*(forge.files(run["prNumber"]) for run in runs))


def test_notifications_are_counted_read_and_dismissed(page: Page, run_id: str) -> None:
    unread = page.all(UNREAD)
    count = cast("int", page.send(COUNT)["count"])
    assert len(unread) == min(count, 50), "the first page"
    assert not any(row["read"] for row in unread)
    told = {row["type"] for row in unread if cast("Json", row["data"]).get("runId") == run_id}
    assert told == {"run_completed", "pr_created", "pr_merged"}
    one, two, three, four, *_ = (str(row["id"]) for row in unread)

    assert page.send("POST /api/v1/notifications/mark-read", {"notificationId": one})["read"] is True
    assert page.send("PUT /api/v1/notifications/:id/read", {"notif_...": two})["read"] is True
    page.send("POST /api/v1/notifications/dismiss", {"notificationId": three})
    page.send("DELETE /api/v1/notifications/:id", {"notif_...": four})
    rest = "GET /api/v1/notifications"
    assert {row["id"] for row in page.all(rest)}.isdisjoint({one, two, three, four})
    everything = {row["id"] for row in page.all(rest, {"filter=unread&limit=20": "filter=all"})}
    assert {one, two} <= everything
    assert everything.isdisjoint({three, four})
    assert page.send("PUT /api/v1/notifications/read-all")["count"] == count - 4
    assert page.send(COUNT)["count"] == page.send("POST /api/v1/notifications/mark-all-read")["count"] == 0


def test_usage_days_and_counters_tell_of_the_work(
    stack: DetachedStack, page: Page, run_id: str, other_id: str
) -> None:
    runs = [stack.ended(run) for run in (run_id, other_id)]
    assert page.all(USAGE) == [], "nothing was used in January 2024"
    range_of_the_page = "startDate=2024-01-01&endDate=2024-01-31"
    first, last = (str(run[when])[:10] for run, when in zip(runs, ("createdAt", "completedAt"), strict=True))
    model = page.all(USAGE, {range_of_the_page: f"startDate={first}&endDate={last}&service=anthropic"})
    assert {row["service"] for row in model} == {"anthropic"}
    assert "output_tokens" in {row["unit"] for row in model}
    assert all(first <= str(row["date"]) <= last for row in model)
    boxes = page.all(USAGE, {range_of_the_page: f"runId={run_id}&service=e2b"})
    assert {(row["runId"], row["unit"]) for row in boxes} == {(run_id, "sandbox_seconds")}
    assert page.all(USAGE, {range_of_the_page: "service=openai"}) == []

    days = page.all("GET /api/v1/analytics/daily-stats", {"startDate": first, "endDate": last})
    assert (days[0]["date"], days[-1]["date"]) == (last, first)
    assert sum(cast("int", day["runsCompleted"]) for day in days) >= len(runs)
    assert sum(cast("int", day["pullRequests"]) for day in days) >= len(runs)
    counters = page.send(COUNTERS)
    assert counters.keys() == cast("Json", stack.get("project/counters")).keys()
    assert cast("int", counters["totalRuns"]) >= len(runs)
    assert {"activeSandboxes", "pendingIssues"} <= counters.keys()


def test_runs_are_restored_from_the_trash_and_deleted_for_good(
    stack: DetachedStack, page: Page, workflow: str
) -> None:
    """One by the addresses of each spelling."""
    prompts = ("Rename the button", "Sort the list")
    runs = [stack.start_run(prompt, workflow) for prompt in prompts]
    for run in runs:
        stack.ended(run)
    before = cast("int", page.send(COUNTERS)["totalRuns"])
    spellings = (RESTORE, PURGE, "entityId"), (RESTORE_BY_PATH, PURGE_BY_PATH, "r_...")
    for run, prompt, (restore, purge, named) in zip(runs, prompts, spellings, strict=True):
        assert page.answer(restore, {named: run})[0] == 409, "it is not in the trash"
        stack.post("runs/delete", {"runId": run})
        for everything in (page.all(TRASH), page.all(TRASH_OF_RUNS)):
            [entry] = [row for row in everything if row["id"] == run]
            assert_agrees({"type": "run", "name": prompt}, entry)
            assert str(entry["expiresAt"]) > str(entry["deletedAt"])
        assert run not in [row["id"] for row in page.all(TRASH_OF_RUNS, {"type=run": "type=workflow"})]
        assert page.send(COUNTERS)["totalRuns"] == before - 1
        assert page.send(restore, {named: run})["id"] == run
        assert stack.run(run)["id"] == run
        assert page.answer(purge, {named: run})[0] == 409, "it is not in the trash"

        stack.post("runs/delete", {"runId": run})
        assert page.send(purge, {named: run})["id"] == run
        assert page.answer(restore, {named: run})[0] == page.answer(purge, {named: run})[0] == 404
        for everything in (page.all(TRASH), page.all(TRASH_OF_RUNS)):
            assert run not in [row["id"] for row in everything]
        with pytest.raises(AssertionError, match="NOT_FOUND"):
            stack.run(run)
        before -= 1


def test_every_request_of_the_page_was_sent(page: Page) -> None:
    assert page.left == []


def at(task: Json) -> datetime:
    return datetime.fromisoformat(str(task["nextRunAt"]))


def merge_job(page: Page, job: Json) -> Json:
    [found] = [row for row in page.all("GET /api/v1/merging/list") if row["id"] == job["id"]]
    return found
