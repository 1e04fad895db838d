"""CI, in the demo: it fails, the agent fixes what it found, and the pull request is merged."""

from typing import cast

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed, require_completed
from cli.demo.forge import branch_with_ci, create_finished_check, get_head_sha

PROMPT = "Add a --quiet flag to the greeting"
LOG = "FAIL: the flag --quiet is not described in README.md"


async def fix(stage: DemoContext) -> None:
    """The demo is the CI: it fails the first commit, and passes the second."""
    steps: list[Json] = [{"role": "designer", "label": "Design"}]
    config: Json = {"autoFixCi": {"enabled": True, "maxAttempts": 2}}
    workflow = await stage.post(
        "/workflows/create", {"name": "Fixes CI", "pipelineSteps": [*steps], "config": config}
    )
    slug = str(stage.run["repositorySlug"])
    base = f"demo-ci-{stage.run['runNumber']}"
    await branch_with_ci(stage.forge, slug, base)
    body: Json = {"workflowId": workflow["id"], "prompt": PROMPT, "baseBranch": base}
    run = await stage.post("/runs/start", body)
    failed = await _pushed(stage, run, 1)
    await create_finished_check(stage.forge, slug, failed, "failure", LOG)
    stage.print_line("CI", f"failed on {failed[:10]}: {LOG}", "red")
    fixed = await _pushed(stage, run, 2)
    stage.print_line("fixed", f"by the agent, as {fixed[:10]} on the same pull request", "green")
    await create_finished_check(stage.forge, slug, fixed, "success", "All is well.")

    async def look() -> Json:
        return await stage.get("/runs/get", id=str(run["id"]))

    ended = require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    if await get_head_sha(stage.forge, slug, cast("int", ended["prNumber"])) != fixed:
        raise DemoFailed("The pull request does not end in the fix.")
    job = await stage.post(f"/pull-requests/{run['id']}/merge", {"mergeStrategy": "squash"})

    async def merging() -> Json:
        return await stage.get("/merging/get", id=str(job["id"]))

    merged = require_completed(await stage.wait_until(merging, lambda row: row["completedAt"]))
    stage.print_line("merged", f"as {str(merged['mergeSha'])[:10]} into {merged['baseBranch']}", "green")
    stage.print_result("Pull request", ended["prUrl"])
    stage.print_temporal_link(run["id"])


async def _pushed(stage: DemoContext, run: Json, count: int) -> str:
    """The commit of the run's `count`-th push.  Raises `DemoFailed` when the run ends before it."""

    async def look() -> Json:
        events = await stage.client.list_all(f"/runs/{run['id']}/events", follow="false")
        pushed = [cast("Json", event["data"])["sha"] for event in events if event["type"] == "branch.pushed"]
        row = await stage.get("/runs/get", id=str(run["id"]))
        return {**row, "pushed": pushed}

    row = await stage.wait_until(
        look, lambda row: len(cast("list[str]", row["pushed"])) >= count or row["completedAt"]
    )
    if len(pushed := cast("list[str]", row["pushed"])) < count:
        raise DemoFailed(f"The run is {row['status']} and pushed {len(pushed)} times.")
    return pushed[count - 1]
