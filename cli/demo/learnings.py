"""What is published and learned, in the demo: it reaches the next run."""

from typing import cast

from cli.demo.client import Json
from cli.demo.context import DemoContext

CONTEXT = "# House rules\n\ngreet.py has no dependencies, and its flags are long ones."
PROMPT = "Add a --formal flag to the greeting"


async def learnings(stage: DemoContext) -> None:
    """A context is published for a persona; what the first run taught is approved, compiled and injected."""
    workflow = await _workflow_with_context(stage)

    async def look() -> Json:
        found = await stage.client.list_all("/learnings/list")
        return {"id": "Extraction of learnings", "status": "at work", "found": [*found]}

    found = cast("list[Json]", (await stage.wait_until(look, lambda row: row["found"]))["found"])
    for learning in found:
        stage.print_line("learning found", learning["description"], "green")
        await stage.post("/learnings/update-status", {"learningId": learning["id"], "status": "approved"})
        stage.print_line(
            "approved",
            f"for {', '.join(cast('list[str]', learning['applicableRoles']) or ['all'])}",
            "yellow",
        )
    version = await stage.post("/learning-versions/compile", {})
    await stage.post("/learning-versions/activate", {"versionId": version["id"]})
    stage.print_line("active", f"version {version['version']} of the learnings", "green")
    run = await stage.follow_run(
        (await stage.post("/runs/start", {"workflowId": workflow, "prompt": PROMPT}))["id"]
    )
    detail = await stage.get("/runs/detail", id=str(run["id"]))
    step = cast("list[Json]", detail["steps"])[-1]
    stage.print_result("Agent", step["output"])
    stage.print_result("Pull request", run["prUrl"] or "(nothing was changed)")
    stage.print_temporal_link(run["id"])


async def _workflow_with_context(stage: DemoContext) -> str:
    name = f"House rules since run {stage.run['runNumber']}"
    context = await stage.post("/contexts", {"name": name, "content": CONTEXT})
    stage.print_line("published", "version 1 of the context “House rules”", "green")
    persona = await stage.post(
        "/personas/create", {"name": "Careful", "type": "designer", "contextId": context["id"]}
    )
    steps: list[Json] = [{"role": "designer", "label": "Design", "personaId": persona["id"]}]
    body: Json = {"name": "With house rules", "pipelineSteps": [*steps]}
    return str((await stage.post("/workflows/create", body))["id"])
