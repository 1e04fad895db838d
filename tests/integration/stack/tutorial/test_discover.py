"""The page on issues, answering sessions and work chains, executed as written and in the order it tells."""

from typing import cast

import pytest

from tests.integration.stack.tutorial.forge import Forge
from tests.integration.stack.tutorial.pages import Json, Page, open_page, wait_until
from tests.integration.stack.tutorial.shown import assert_same_shape
from tests.support.detached_stack import DetachedStack

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def page(stack: DetachedStack, tmp_path_factory: pytest.TempPathFactory) -> Page:
    return open_page("discover.md", stack, tmp_path_factory.mktemp("discover"))


@pytest.fixture(scope="module")
def scan(page: Page) -> str:
    """The issue session of which the page tells: its id."""
    started = page.send("POST /api/v1/issue-sessions/start")
    assert started["status"] == "active"
    return str(started["id"])


@pytest.fixture(scope="module")
def answering(page: Page, scan: str) -> str:
    """The answering session of the scan, which waits for its end: its id."""
    created = page.send("POST /api/v1/answering-sessions", {"is_...": scan})
    assert created["status"] == "pending"
    return str(created["id"])


@pytest.fixture(scope="module")
def issues(page: Page, scan: str, answering: str) -> list[str]:
    """An issue that the scan found, and one that was written down by hand: their ids."""
    made = page.send("POST /api/v1/issues/create", {"sessionId": scan})
    assert (made["status"], made["priority"], made["sessionId"]) == ("new", "high", scan)
    ended = wait_until(lambda: session(page, scan), lambda row: row["completedAt"])
    assert (ended["status"], ended["issueCount"]) == ("completed", 1)
    open_ones = page.all("GET /api/v1/issues/list")
    [found] = [row for row in open_ones if row["sessionId"] == scan and row["id"] != made["id"]]
    assert found["suggestedPrompt"]
    return [str(found["id"]), str(made["id"])]


def session(page: Page, scan: str) -> Json:
    return page.send("GET /api/v1/issue-sessions/get", {"id": scan})


def answered(page: Page, answering: str, *wanted: str) -> Json:
    """An answering session as soon as it has one of these statuses."""
    read = "GET /api/v1/answering-sessions/:id"
    return wait_until(lambda: page.send(read, {"as_...": answering}), lambda row: row["status"] in wanted)


def test_questions_are_reviewed_and_answered(page: Page, answering: str, issues: list[str]) -> None:
    asked = answered(page, answering, "active")
    assert_same_shape(page.object("Answering Session Object"), asked)
    assert (asked["questionCount"], asked["reviewedCount"]) == (2, 0)
    assert answering in [row["id"] for row in page.all("GET /api/v1/answering-sessions")]
    first, second = page.all("GET /api/v1/session-questions", {"as_...": answering})
    assert_same_shape(page.object("Session Question Object"), first)

    assume = page.send("PUT /api/v1/session-questions/:id/assumption", {"sq_...": str(first["id"])})
    assert str(assume["assumption"]).startswith("Use localStorage with a 30-day expiry")
    assert assume["status"] == "pending"

    review = "PUT /api/v1/session-questions/:id/review"
    correction = "No -- use a server-side cookie tied to the user account instead."
    emptied = {"sq_...": str(second["id"]), correction: " "}
    assert page.answer(review, emptied, 1)[0] == 400
    approved = page.send(review, {"sq_...": str(first["id"])})
    declined = page.send(review, {"sq_...": str(second["id"])}, 1)
    assert (approved["status"], approved["correction"]) == ("approved", None)
    assert (declined["status"], declined["correction"]) == ("declined", correction)
    assert declined["reviewedBy"] == approved["reviewedBy"]

    done = answered(page, answering, "completed", "failed")
    assert (done["status"], done["reviewedCount"]) == ("completed", 2)
    one, two = page.all("GET /api/v1/session-questions", {"as_...": answering})
    assert (one["answer"], two["answer"]) == (assume["assumption"], correction)


def test_a_work_chain_opens_a_pull_request_for_each_issue(
    stack: DetachedStack, page: Page, forge: Forge, issues: list[str], answering: str
) -> None:
    answered(page, answering, "completed")
    forge.branch("fix/security-issues")
    workflow, *_ = cast("list[Json]", stack.get("workflows/list"))
    created = page.send(
        "POST /api/v1/work-chains/create",
        {"issue1": issues[0], "issue2": issues[1], "workflowId": str(workflow["id"])},
    )
    chain = {"id": str(created["id"])}
    assert created["status"] == "pending"
    started = page.send("POST /api/v1/work-chains/start", {"chainId": chain["id"]})
    assert started["status"] == "running"
    assert chain["id"] in [row["id"] for row in page.all("GET /api/v1/work-chains/list")]
    assert [row["id"] for row in page.all("GET /api/v1/work-chains/issues", chain)] == issues

    ended = wait_until(
        lambda: page.send("GET /api/v1/work-chains/get", chain), lambda row: row["completedAt"]
    )
    assert ended["status"] == "completed", ended
    one, two = (stack.run(str(run_id)) for run_id in cast("list[str]", ended["issueRunIds"]))
    assert ended["issuePrUrls"] == [one["prUrl"], two["prUrl"]]
    pulls = [forge.pull(run["prNumber"]) for run in (one, two)]
    assert [cast("Json", pull["base"])["ref"] for pull in pulls] == ["fix/security-issues", one["branchName"]]
    worked = page.all("GET /api/v1/work-chains/issues", chain)
    assert [(row["status"], row["runId"]) for row in worked] == [
        ("completed", run["id"]) for run in (one, two)
    ]
    assert "server-side cookie" in str(two["prompt"]), "the runs are told what was decided"

    page.send("POST /api/v1/work-chains/delete", {"chainId": chain["id"]})
    assert page.answer("GET /api/v1/work-chains/get", chain)[0] == 404


def test_told_that_all_is_reviewed_it_goes_on_and_is_archived(page: Page, scan: str, answering: str) -> None:
    answered(page, answering, "completed")
    again = str(page.send("POST /api/v1/answering-sessions", {"is_...": scan})["id"])
    answered(page, again, "active")
    told = page.send("PUT /api/v1/answering-sessions/:id/status", {"as_...": again})
    assert told["status"] in ("reviewed", "completed")
    assert answered(page, again, "completed", "failed")["status"] == "completed"
    archived = page.send("DELETE /api/v1/answering-sessions/:id", {"as_...": again})
    assert archived["status"] == "archived"
    assert page.answer("GET /api/v1/answering-sessions/:id", {"as_...": again})[0] == 404


def test_an_issue_is_changed_linked_and_deleted(stack: DetachedStack, page: Page, issues: list[str]) -> None:
    """The links follow a run that the chain left behind."""
    runs = cast("list[Json]", stack.get("runs/list", status="completed", limit="1"))
    extra = [
        str(page.send("POST /api/v1/issues/create", {'"sessionId": "..."': '"sessionId": null'})["id"])
        for _ in range(4)
    ]
    changed = page.send("POST /api/v1/issues/update", {"issueId": extra[0]})
    assert_same_shape({"title": "Updated title", "priority": "critical"}, changed)
    linked = page.send("POST /api/v1/issues/link-run", {"issueId": extra[0], "runId": str(runs[0]["id"])})
    assert (linked["runId"], linked["status"]) == (runs[0]["id"], "completed")
    shown = page.send("GET /api/v1/issues/get", {"id": extra[0]})
    assert (shown["title"], shown["priority"]) == ("Updated title", "critical")
    assert shown["suggestedPrompt"] == "Updated fix instructions"
    page.send("POST /api/v1/issues/delete", {"issueId": extra[0]})
    assert page.answer("GET /api/v1/issues/get", {"id": extra[0]})[0] == 404
    ids = {f"id{number}": each for number, each in enumerate(extra[1:], 1)}
    assert page.send("POST /api/v1/issues/bulk-delete", ids) == {"count": 3}
    assert {row["id"] for row in page.all("GET /api/v1/issues/list")}.isdisjoint(extra)


def test_an_issue_session_is_renamed_and_goes_through_the_trash(
    page: Page, scan: str, answering: str, issues: list[str]
) -> None:
    other = str(page.send("POST /api/v1/issue-sessions/start")["id"])
    renamed = page.send("POST /api/v1/issue-sessions/rename", {"sessionId": scan})
    assert renamed["name"] == "Security Audit Scan"
    ended = wait_until(lambda: session(page, other), lambda row: row["completedAt"])
    assert ended["status"] == "completed", ended
    assert {scan, other} <= {str(row["id"]) for row in page.all("GET /api/v1/issue-sessions/list")}
    answered(page, answering, "completed")
    page.send("POST /api/v1/issue-sessions/delete", {"sessionId": other})
    assert page.answer("GET /api/v1/issue-sessions/get", {"id": other})[0] == 404
    page.send("POST /api/v1/issue-sessions/restore", {"sessionId": other})
    assert session(page, other)["id"] == other
    assert page.send("POST /api/v1/issue-sessions/bulk-delete", {"id1": other, "id2": scan}) == {"count": 2}
    page.send("POST /api/v1/issue-sessions/permanent-delete", {"sessionId": other})
    assert page.answer("POST /api/v1/issue-sessions/restore", {"sessionId": other})[0] == 404


def test_every_request_of_the_page_was_sent(page: Page) -> None:
    assert page.left == []
