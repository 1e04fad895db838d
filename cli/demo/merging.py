"""Pull requests, in the demo: one merged when CI lets it through, several merged into one."""

from typing import cast

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed, require_completed
from cli.demo.forge import get_head_sha, set_commit_status
from cli.stack.addresses import is_scripted

CHECK = "python3 -m unittest discover tests -t ."
"""What must pass on the demo's own repository after every pull request that is merged."""


async def after_ci(stage: DemoContext) -> None:
    """The demo is the CI: it sets a status of the recurring task's pull request."""
    run = stage.report
    if run["prNumber"] is None:
        raise DemoFailed("The recurring task made no pull request that could be merged.")
    slug = str(run["repositorySlug"])
    sha = await get_head_sha(stage.forge, slug, cast("int", run["prNumber"]))
    await set_commit_status(stage.forge, slug, sha, "pending", "The demo plays CI")
    stage.print_line("CI", f"at work on {sha[:10]}, the head of {run['prUrl']}", "yellow")
    job = await stage.post(f"/pull-requests/{run['id']}/merge", {"mergeStrategy": "squash"})

    async def look() -> Json:
        return await stage.get("/merging/get", id=str(job["id"]))

    blocked = await stage.wait_until(look, lambda row: row["waiting"] or row["completedAt"])
    if blocked["waiting"] is None:
        require_completed(blocked)
        raise DemoFailed("It was merged without waiting for CI.")
    stage.print_line("blocked_on_ci", cast("Json", blocked["waiting"])["message"], "yellow")
    await set_commit_status(stage.forge, slug, sha, "success", "The demo is content")
    stage.print_line("CI", "has passed", "green")
    merged = require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    stage.print_line("merged", f"as {str(merged['mergeSha'])[:10]} into {merged['baseBranch']}", "green")
    stage.print_result("Pull request", run["prUrl"])
    stage.print_result("Checked, merged", f"{sha[:10]}, {str(merged['mergeSha'])[:10]}")
    stage.print_temporal_link(job["id"])


async def several(stage: DemoContext) -> None:
    """The sprints' pull requests; each adds a line at the same place of the README, so that they conflict."""
    runs = [
        await stage.get("/runs/get", id=run_id) for run_id in cast("list[str]", stage.sprints["sprintRunIds"])
    ]
    pulls: list[Json] = [
        {"prUrl": run["prUrl"], "prNumber": run["prNumber"]} for run in runs if run["prNumber"] is not None
    ]
    if not pulls:
        raise DemoFailed("The sprints made no pull requests that could be merged.")
    config: Json = {"checkCommand": CHECK} if is_scripted(stage.file) else {}
    body: Json = {"pullRequests": [*pulls], "baseBranch": stage.branch, "config": config}
    job = await stage.post("/merging/start", body)
    settled: set[str] = set()

    async def look() -> Json:
        found = await stage.get("/merging/get", id=str(job["id"]))
        for pull in cast("list[Json]", found["pullRequests"]):
            if (outcome := pull.get("outcome")) is not None and str(pull["prUrl"]) not in settled:
                settled.add(str(pull["prUrl"]))
                how = str(outcome).replace("_", " ")
                stage.print_line(
                    how, f"#{pull['prNumber']} {pull['title']}", "green" if how == "merged" else "red"
                )
        return found

    merged = require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    left_out = cast("list[Json]", merged["conflicts"])
    for left in left_out:
        stage.print_result("Left out", f"{left['prUrl']}: {left['message']}")
    if left_out and is_scripted(stage.file):
        raise DemoFailed("The script solves every conflict, so all of them were to be merged.")
    stage.print_result(
        "Pull request", f"{merged['prUrl']}  holds {len(pulls) - len(left_out)} of {len(pulls)}"
    )
    stage.print_temporal_link(job["id"])
