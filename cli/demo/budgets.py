"""Money, in the demo: a cap is reached, raised, and the run goes on."""

from typing import cast

from cli.demo.client import Json
from cli.demo.context import DemoContext, DemoFailed, require_completed

CAP_USD = 0.000001
RAISED_USD = 5.0
PROMPT = "Write down what the greeting costs"


async def cap(stage: DemoContext) -> None:
    body: Json = {"workflowId": stage.workflow_id, "prompt": PROMPT, "maxCostUsd": CAP_USD}
    run = await stage.post("/runs/start", body)

    async def look() -> Json:
        return await stage.get("/runs/get", id=str(run["id"]))

    held = await stage.wait_until(look, lambda row: row["status"] == "paused" or row["completedAt"])
    why = await stage.get(f"/runs/{run['id']}/why")
    if (held["status"], why["code"]) != ("paused", "BUDGET_REACHED"):
        raise DemoFailed(f"The run is {held['status']} and was to wait for money: {why['message']}")
    stage.print_line("cap reached", why["message"], "yellow")
    budget = cast("Json", await stage.client.put(f"/runs/{run['id']}/budget", {"maxCostUsd": RAISED_USD}))
    stage.print_line("cap raised", f"to ${budget['capUsd']}", "green")
    ended = require_completed(await stage.wait_until(look, lambda row: row["completedAt"]))
    stage.print_result("Cost", f"${ended['costUsd']}")
    stage.print_result("Pull request", ended["prUrl"] or "(nothing was changed)")
    stage.print_temporal_link(run["id"])
