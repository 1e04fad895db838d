"""What is answered is what is documented: every operation, once with success, against its schema."""

import asyncio
import re

import httpx
import pytest

from tests.support.contract_client import BY_ID, ContractClient
from tests.support.operations import OPERATIONS
from tests.support.waiting import TEST_TIMEOUT_SECONDS

OWN_TESTS = {
    "Analytics",
    "Answering Sessions",
    "Branches",
    "Budgets",
    "Commands",
    "Contexts",
    "Cost Rates",
    "Files",
    "Issue Sessions",
    "Issues",
    "Learning Versions",
    "Learnings",
    "Members",
    "Merging",
    "Notifications",
    "Pull Requests",
    "Recurring Tasks",
    "Scripts",
    "Session Questions",
    "Skills",
    "Sprint Chains",
    "Trash",
    "Webhooks",
    "Work Chains",
}
"""Tags whose operations are all held against their description by the tests of their own."""
DELETIONS = re.compile(
    r"(delete|restore|permanentlyDelete|bulkDelete)(Run|Sandbox|Workflow|Persona|Project)s?"
)
"""Operations that are held against theirs by the tests of the trash."""
IN_BLUEPRINTS = {
    "duplicatePersona",
    "duplicateWorkflow",
    "getPersonaAnalytics",
    "getWorkflowAnalytics",
    "getWorkflowRelated",
    "listRunsByChain",
    "listRunsByWorkflow",
    "listWorkflowRuns",
    "listWorkflowVersions",
    "renameRun",
    "renameWorkflow",
    "revertWorkflow",
    "togglePersona",
}
"""Operations of `tests/unit/api/blueprints` and `tests/unit/api/runs`."""
ON_LIVE_SANDBOXES = {
    "createSandbox",
    "renameSandbox",
    "sendSandboxMessage",
    "listSandboxFiles",
    "readSandboxFile",
    "getSandboxDiff",
    "getSandboxPreview",
    "startSandboxPreview",
    "stopSandboxPreview",
}
"""Operations whose answers `tests/integration/sandboxes/test_sandbox_jobs.py` holds against theirs."""


@pytest.fixture
async def call(client: httpx.AsyncClient, worker: None) -> ContractClient:
    return ContractClient(client)


async def test_every_operation_answers_as_documented(call: ContractClient) -> None:
    await call("healthz")
    await call("readyz")
    await call("whoami")
    await call("getProject")
    await call("listProjects")
    url = "https://github.com/org/repo"
    await call("updateProject", {"githubRepoUrl": url})
    variables = {"A": "1", "B": {"value": "2", "isSecret": True}}
    await call(
        "updateSettings", {"envVars": variables, "claudeMd": "x", "learningConfig": {"isEnabled": False}}
    )
    await call("getSettings")
    await call("getProjectCounters")
    key = await call("generateApiKey", {"name": "n", "scopes": ["runs:read"]})
    await call("listApiKeys")
    await call("revokeApiKey", {"keyId": key["id"]})
    await call("setProviderKey", {"provider": "github", "key": "x" * 20})
    await call("listProviderKeys")
    await call("followEvents")
    await call("deleteProviderKey", {"provider": "github"})
    persona = await call("createPersona", BY_ID["createPersona"].body)
    await call("updatePersona", {"personaId": persona["id"], "model": "m"})
    for name in ("listPersonas", "listPersonasLegacy"):
        await call(name)
    await call("getPersona", id=persona["id"])
    workflow = await call("createWorkflow", {**BY_ID["createWorkflow"].body, "workflowGraph": {"a": None}})
    await call("updateWorkflow", {**BY_ID["updateWorkflow"].body, "workflowId": workflow["id"]})
    for name in ("listWorkflows", "listWorkflowsLegacy"):
        await call(name)
    await call("getWorkflow", id=workflow["id"])
    await runs(call, workflow["id"])
    missing = {operation.id for operation in OPERATIONS} - call.tried
    elsewhere = {"getSandbox", "listSandboxEvents", "listSandboxMessages", "getOpenapi", "explainRun"}
    elsewhere |= {operation.id for operation in OPERATIONS if operation.spec["tags"][0] in OWN_TESTS}
    elsewhere |= {operation.id for operation in OPERATIONS if DELETIONS.fullmatch(operation.id)}
    elsewhere |= IN_BLUEPRINTS | ON_LIVE_SANDBOXES
    assert missing == elsewhere, "tried where there are such rows"


async def runs(call: ContractClient, workflow_id: str) -> None:
    run = await call("startRun", {"workflowId": workflow_id, "prompt": "Do it"})
    run_id = run["id"]
    await call("pauseRun", path=run_id)
    await call("resumeRun", path=run_id)
    await call("sendRunMessage", {"content": "Hello"}, path=run_id)
    await call("followRunEvents", path=run_id, follow=False)
    await call("stopRunGracefully", path=run_id)
    async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
        while (await call("getRun", id=run_id))["status"] != "cancelled":
            await asyncio.sleep(0.02)
    again = await call("restartRun", path=run_id)
    await call("cancelRun", path=again["id"])
    for name in ("listRuns", "listRunsLegacy"):
        await call(name)
    await call("getRunByNumber", runNumber=1)
    await call("getRunDetail", id=run_id)
    for name in ("listSandboxes", "listSandboxesLegacy"):
        await call(name, runId=run_id)
