"""What goes on by itself, in the demo: a chain of sprints, and a task that recurs."""

import asyncio
from typing import cast

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed, require_completed

SPRINTS = (
    "Greet in other languages\n\n"
    "Sprint {{sprint}} of {{sprintCount}}. Each sprint adds one language: 1 is German, 2 is French, 3 is "
    "Spanish. Add its greeting as a file below languages/, a test of it, and a line in the README."
)
PAUSE_SECONDS = 2.0
"""Seconds for which the paused chain is watched doing nothing."""
REPORT: Json = {
    "title": "Weekly health report",
    "description": "How the tests fare, one line a week",
    "prompt": "Run the tests and add a line with today's date and their result to reports/health.md.",
    "frequency": "weekly",
    "timezone": "Europe/Berlin",
    "scheduledHour": 6,
    "scheduledMinute": 0,
}


async def sprints(stage: DemoContext) -> None:
    body: Json = {
        "workflowId": stage.workflow_id,
        "sprintRange": [1, 3],
        "prompt": SPRINTS,
        "githubRepoUrl": stage.scan["githubRepoUrl"],
        "branchName": stage.branch,
    }
    path = f"/sprint-chains/{(await stage.post('/sprint-chains', body))['id']}"

    async def look() -> Json:
        return await stage.get(path)

    first = await stage.wait_for_run(look, "sprintRunIds", 0)
    await stage.post(f"{path}/pause", {})
    stage.print_line(
        "pause", "asked for while the first sprint is at work: it finishes, then the chain holds"
    )
    await stage.follow_run(first)
    await stage.wait_until(look, lambda row: row["status"] == "paused" or row["completedAt"])
    await asyncio.sleep(PAUSE_SECONDS)
    held = await look()
    if (held["status"], len(cast("list[str]", held["sprintRunIds"]))) != ("paused", 1):
        raise DemoFailed(f"The chain is {held['status']} and was to hold after the first sprint.")
    stage.print_line("paused", f"{PAUSE_SECONDS:.0f} s later the second sprint has not begun", "yellow")
    await stage.post(f"{path}/resume", {})
    stage.print_line("resume", "", "green")
    for place in (1, 2):
        await stage.follow_run(await stage.wait_for_run(look, "sprintRunIds", place))
    stage.sprints = require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    for sprint in cast("list[Json]", stage.sprints["sprints"]):
        number = cast("int", sprint["index"]) + 1
        stage.print_result(f"Sprint {number}", sprint["prUrl"] or "(nothing was changed)")
    stage.print_temporal_link(stage.sprints["id"])


async def recurring(stage: DemoContext) -> None:
    task = await stage.post("/recurring-tasks", REPORT | {"targetWorkflowId": stage.workflow_id})
    preview = await stage.get(f"/recurring-tasks/{task['id']}/preview", count="3")
    stage.print_line(
        "planned", f"weekly at 6:00 in Berlin, next: {', '.join(cast('list[str]', preview['times']))}"
    )
    fired = await stage.post(f"/recurring-tasks/{task['id']}/trigger", {})
    stage.report = await stage.follow_run(fired["id"])
    off = cast("Json", await stage.client.put(f"/recurring-tasks/{task['id']}/toggle", {"isActive": False}))
    stage.print_line(
        "switched off", f"isActive is {str(off['isActive']).lower()}: it stays, and does not fire", "yellow"
    )
    stage.print_result("Task", f"{task['id']}, next run {task['nextRunAt']}")
    stage.print_result("Pull request", stage.report["prUrl"] or "(nothing was changed)")
    stage.print_temporal_link(fired["id"])
