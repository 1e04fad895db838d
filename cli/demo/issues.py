"""Issues, in the demo: found, asked about, and mended."""

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed, require_completed

SCAN_PROMPT = "Look for what greets people wrongly, and for what its users are not told"
CORRECTION = "No: promise only what is tested, which is Python 3.11 and later."
ISSUES_TO_FIX = 2
"""Issues that the work chain takes on, the worst first."""
PRIORITIES = ("critical", "high", "medium", "low")


async def scan(stage: DemoContext) -> None:
    row = await stage.post("/issue-sessions/start", {"prompt": SCAN_PROMPT})
    stage.print_result("Asked for", SCAN_PROMPT)
    seen: set[str] = set()

    async def look() -> Json:
        found = await stage.get("/issue-sessions/get", id=str(row["id"]))
        for issue in reversed(await stage.client.list_all("/issues/list", sessionId=str(row["id"]))):
            if str(issue["id"]) not in seen:
                seen.add(str(issue["id"]))
                stage.print_line("issue found", f"[{issue['priority']}] {issue['title']}", "green")
        return found

    stage.scan = require_completed(await stage.wait_until(look, lambda found: found["completedAt"]))
    issues = await stage.client.list_all("/issues/list", sessionId=str(row["id"]))
    stage.issues = sorted(issues, key=lambda issue: PRIORITIES.index(str(issue["priority"])))
    stage.print_result("Summary", stage.scan["summary"])
    stage.print_temporal_link(row["id"])
    if not issues:
        raise DemoFailed("Nothing was found, so there is nothing to ask about and nothing to mend.")


async def answers(stage: DemoContext) -> None:
    row = await stage.post("/answering-sessions", {"issueSessionId": stage.scan["id"]})

    async def look() -> Json:
        return await stage.get(f"/answering-sessions/{row['id']}")

    await stage.wait_until(look, lambda found: found["status"] != "pending")
    questions = await stage.client.list_all("/session-questions", answeringSessionId=str(row["id"]))
    for question in questions:
        stage.print_line("asked", question["question"], "green")
        stage.print_line("assumed", question["assumption"])
    for place, question in enumerate(questions):
        review: Json = {"status": "approved"}
        if place == 1:
            review = {"status": "declined", "correction": CORRECTION}
        await stage.client.put(f"/session-questions/{question['id']}/review", review)
        stage.print_line(f"{review['status']}", review.get("correction", "as it was assumed"), "yellow")
    require_completed(await stage.wait_until(look, lambda found: found["completedAt"]))
    for question in await stage.client.list_all("/session-questions", answeringSessionId=str(row["id"])):
        stage.print_result("Question", question["question"])
        stage.print_result("Answer", question["answer"])
    stage.print_temporal_link(row["id"])


async def work(stage: DemoContext) -> None:
    issues = stage.issues[:ISSUES_TO_FIX]
    chain = await stage.post(
        "/work-chains/create",
        {
            "title": "What the scan found",
            "issueIds": [issue["id"] for issue in issues],
            "workflowId": stage.workflow_id,
            "githubRepoUrl": stage.scan["githubRepoUrl"],
            "branchName": stage.branch,
        },
    )
    await stage.post("/work-chains/start", {"chainId": chain["id"]})
    runs: list[Json] = []

    async def look() -> Json:
        return await stage.get("/work-chains/get", id=str(chain["id"]))

    for place, issue in enumerate(issues):
        stage.print_line("issue", issue["title"], "green")
        runs.append(await stage.follow_run(await stage.wait_for_run(look, "issueRunIds", place)))
    require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    for run in runs:
        stage.print_result("Pull request", f"{run['prUrl']}  {run['branchName']} onto {run['baseBranch']}")
    stage.print_temporal_link(chain["id"])
