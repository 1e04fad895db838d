"""What is related to a workflow."""

import httpx

from kit.database import Database
from kit.ids import new_id
from models import JobSnapshot, SprintChain
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient
from tests.unit.api.runs.test_runs import start


async def test_everything_that_is_related(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    call = ContractClient(client)
    persona = await call("createPersona", {"name": "P", "type": "designer"})
    steps = [
        {"role": "designer", "personaId": persona["id"]},
        {"role": "designer", "personaId": new_id("per")},
    ]
    workflow = await call("createWorkflow", {"name": "W", "pipelineSteps": steps[:1]})
    other = await call("createWorkflow", {"name": "Other"})
    repository = {"githubRepoUrl": "https://github.com/org/repo"}
    run = await start(client, {"workflowId": workflow["id"], "prompt": "x", **repository})
    issue, unrelated = [await call("createIssue", {"title": title}) for title in ("Related", "Not")]
    await call("linkIssueToRun", {"issueId": issue["id"], "runId": run["id"]})
    await call("updateProject", repository)
    await call(
        "createRecurringTask",
        {
            "title": "Daily",
            "prompt": "x",
            "frequency": "daily",
            "targetWorkflowId": workflow["id"],
            "timezone": "UTC",
            "scheduledHour": 8,
            "scheduledMinute": 0,
        },
    )
    await call(
        "createWorkChain", {"title": "Chain", "issueIds": [unrelated["id"]], "workflowId": workflow["id"]}
    )
    learned = new_id("lv")
    async with database.transaction() as session:
        session.add(
            SprintChain(
                project_id=project.id,
                workflow_id=workflow["id"],
                github_repo_url="https://github.com/org/repo",
                repository_slug="org/repo",
                prompt="Sprint " * 100,
                sprint_start=1,
                sprint_end=2,
            )
        )
        snapshot = await session.get_one(JobSnapshot, run["id"])
        snapshot.document = {**snapshot.document, "learnings": {"version_id": learned, "version": 3}}
    await call("updateWorkflow", {"id": workflow["id"], "pipelineSteps": steps})

    found = await call("getWorkflowRelated", id=workflow["id"])
    assert [(each["id"], each["type"], each["isEnabled"]) for each in found["personas"]] == [
        (persona["id"], "designer", True)
    ]
    assert [(each["id"], each["status"], each["runId"]) for each in found["issues"]] == [
        (issue["id"], "running", run["id"])
    ]
    assert found["learningVersions"] == [{"id": learned, "_id": learned, "version": 3}]
    assert [(each["title"], each["isActive"]) for each in found["recurringTasks"]] == [("Daily", True)]
    assert [(each["title"], each["status"]) for each in found["workChains"]] == [("Chain", "pending")]
    assert [len(each["title"]) for each in found["sprintChains"]] == [200]
    nothing = await call("getWorkflowRelated", id=other["id"])
    assert {key: value for key, value in nothing.items() if key not in ("id", "_id")} == {
        "personas": [],
        "issues": [],
        "learningVersions": [],
        "recurringTasks": [],
        "workChains": [],
        "sprintChains": [],
    }
