"""What names assets: personas, workflows, settings; and what the jobs that start then take along."""

from typing import Any

import httpx
import pytest

from kit.database import Database
from models import JobSnapshot
from models.jobs.snapshot import Snapshot

Body = dict[str, Any]
NAMES = {"selectedSkills": ["House style"], "selectedCommands": ["ship"], "selectedScripts": ["install"]}


async def post(client: httpx.AsyncClient, path: str, body: Body) -> Body:
    answer = await client.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
    data: Body = answer.json()["data"]
    return data


async def shelve(client: httpx.AsyncClient) -> dict[str, str]:
    """One of each kind, published; their ids."""
    bodies: dict[str, Body] = {
        "contexts": {"name": "Domain", "content": "Orders have lines."},
        "skills": {"name": "House style", "files": [{"name": "SKILL.md", "content": "Two spaces."}]},
        "commands": {"name": "ship", "content": "Ship it."},
        "scripts": {"name": "install", "language": "bash", "content": "true"},
    }
    await post(client, "/commands", {"name": "write-tests", "content": "Write tests."})
    return {kind: (await post(client, f"/{kind}", body))["id"] for kind, body in bodies.items()}


async def snapshot_of(database: Database, job_id: str) -> Snapshot:
    async with database.transaction() as session:
        return Snapshot.model_validate((await session.get_one(JobSnapshot, job_id)).document)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("contextId", "ctx_" + "0" * 32, "contextId"),
        ("selectedSkills", ["House style", "Unknown"], "selectedSkills.1"),
        ("selectedSkills", ["ship"], "selectedSkills.0"),
        ("selectedCommands", ["House style"], "selectedCommands.0"),
        ("selectedScripts", ["nothing"], "selectedScripts.0"),
    ],
)
async def test_what_a_persona_names_has_to_exist(
    client: httpx.AsyncClient, field: str, value: object, named: str
) -> None:
    await shelve(client)
    body = {"name": "P", "type": "designer"}
    refused = await client.post("/personas/create", json={**body, field: value})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, named), refused.text
    assert (await client.get("/personas/list")).json()["data"] == []
    persona = await post(client, "/personas/create", {**body, **NAMES})
    refused = await client.post("/personas/update", json={"personaId": persona["id"], field: value})
    assert (refused.status_code, refused.json()["error"]["field"]) == (400, named)
    assert (await client.get("/personas/get", params={"id": persona["id"]})).json()["data"] == persona


async def test_another_projects_assets_are_none_of_a_persona(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient
) -> None:
    ids = await shelve(stranger)
    refused = await client.post(
        "/personas/create",
        json={
            "name": "P",
            "type": "designer",
            "contextId": ids["contexts"],
            "selectedSkills": [ids["skills"]],
        },
    )
    error = refused.json()["error"]
    assert (refused.status_code, [each["field"] for each in error["errors"]]) == (
        400,
        ["contextId", "selectedSkills.0"],
    )


async def test_a_persona_runs_what_is_built_in(client: httpx.AsyncClient) -> None:
    for cli in ("claude", "claude_code"):
        persona = await post(client, "/personas/create", {"name": "P", "type": "designer", "cliId": cli})
        assert persona["cliId"] == cli
    for cli in ("codex", "opencode"):
        refused = await client.post("/personas/create", json={"name": "P", "type": "designer", "cliId": cli})
        error = refused.json()["error"]
        assert (refused.status_code, error["field"]) == (400, "cliId")
        assert f"'{cli}' is not available here" in error["message"]


async def test_the_scripts_of_a_workflow_have_to_exist(client: httpx.AsyncClient) -> None:
    await shelve(client)
    good = {"role": "designer", "preScripts": ["install"], "postScripts": ["install"]}
    workflow = await post(client, "/workflows/create", {"name": "W", "pipelineSteps": [good]})
    bad = {"pipelineSteps": [good, {**good, "postScripts": ["install", "unknown"]}]}
    for answer in (
        await client.post("/workflows/create", json={"name": "W", **bad}),
        await client.post("/workflows/update", json={"workflowId": workflow["id"], **bad}),
    ):
        assert (answer.status_code, answer.json()["error"]["field"]) == (
            400,
            "pipelineSteps.1.postScripts.1",
        )
    await post(client, "/workflows/update", {"workflowId": workflow["id"], "description": "Still fine."})


@pytest.mark.parametrize(
    "config",
    ["learningConfig", "mergingConfig", "issueConfig", "answeringConfig", "evaluatorConfig", "judgeConfig"],
)
async def test_what_a_configuration_names_has_to_exist(client: httpx.AsyncClient, config: str) -> None:
    await shelve(client)
    names = {"selectedSkills": ["House style"]} if config == "learningConfig" else NAMES
    await post(client, "/project/settings/update", {config: names})
    refused = await client.post(
        "/project/settings/update", json={config: {"contextId": "Nothing", "selectedSkills": ["ship"]}}
    )
    error = refused.json()["error"]
    assert (refused.status_code, [each["field"] for each in error["errors"]]) == (
        400,
        [f"{config}.contextId", f"{config}.selectedSkills.0"],
    )
    settings = (await client.get("/project/settings")).json()["data"]
    assert (settings[config]["selectedSkills"], settings[config]["contextId"]) == (["House style"], None)


async def test_steps_have_no_template_of_their_own(client: httpx.AsyncClient) -> None:
    for config in ("evaluatorConfig", "judgeConfig"):
        refused = await client.post("/project/settings/update", json={config: {"templateId": "big"}})
        assert (refused.status_code, refused.json()["error"]["field"]) == (400, f"{config}.templateId")


async def test_a_run_takes_what_its_steps_and_prompts_name(
    client: httpx.AsyncClient, database: Database
) -> None:
    ids = await shelve(client)
    persona = await post(
        client,
        "/personas/create",
        {
            "name": "P",
            "type": "designer",
            **NAMES,
            "contextId": ids["contexts"],
            "selectedSkills": [ids["skills"]],
        },
    )
    await post(
        client, "/project/settings/update", {"judgeConfig": {"model": "m-judge", "contextId": "Domain"}}
    )
    steps = [
        {"role": "designer", "personaId": persona["id"], "preScripts": ["install"]},
        {"role": "judge"},
        {"role": "judge", "model": "m-own"},
        {"role": "checker"},
    ]
    workflow = await post(client, "/workflows/create", {"name": "W", "pipelineSteps": steps})
    start = {
        "workflowId": workflow["id"],
        "prompt": "Do it, then /write-tests and /unknown.",
        "githubRepoUrl": "https://github.com/org/repo",
    }
    run = await post(client, "/runs/start", start)
    taken = await snapshot_of(database, run["id"])
    first, judge, own, checker = taken.steps
    assert (first.skills, first.commands) == (["House style"], ["ship"])
    assert first.context is not None
    assert (first.context.name, first.context.content) == ("Domain", "Orders have lines.")
    assert [script.name for script in first.pre_scripts] == ["install", "install"]
    assert [(step.model, step.context is not None) for step in (judge, own)] == [
        ("m-judge", True),
        ("m-own", True),
    ]
    assert (checker.context, checker.skills, checker.commands) == (None, [], [])
    assert {command.name: command.content for command in taken.commands} == {
        "ship": "Ship it.",
        "write-tests": "Write tests.",
    }
    assert taken.command_versions.keys() == {"ship", "write-tests"}

    await client.delete(f"/contexts/{ids['contexts']}")
    unpersoned = await post(client, "/workflows/create", {"name": "W", "pipelineSteps": [{"role": "judge"}]})
    refused = await client.post("/runs/start", json={**start, "workflowId": unpersoned["id"]})
    assert refused.status_code == 400
    assert "Step 0 (by the project's judgeConfig) uses the context" in refused.json()["error"]["message"]

    await client.delete(f"/skills/{ids['skills']}")
    refused = await client.post("/runs/start", json=start)
    assert refused.status_code == 400
    assert (
        f"Step 0 uses the skill '{ids['skills']}', which does not exist" in refused.json()["error"]["message"]
    )
    assert (await snapshot_of(database, run["id"])) == taken


async def test_scans_answers_and_merges_work_as_configured(
    client: httpx.AsyncClient, database: Database
) -> None:
    await shelve(client)
    config = {"model": "m-own", "thinkingEffort": "max", "templateId": "big", "contextId": "Domain", **NAMES}
    await post(client, "/project/update", {"githubRepoUrl": "https://github.com/org/repo"})
    await post(
        client,
        "/project/settings/update",
        {"issueConfig": config, "answeringConfig": {**config, "templateId": None}, "mergingConfig": config},
    )
    scan = await post(client, "/issue-sessions/start", {"prompt": "Look, /write-tests"})
    asking = await post(client, "/answering-sessions", {"issueSessionId": scan["id"]})
    pulls = [{"prUrl": f"https://github.com/org/repo/pull/{n}", "prNumber": n} for n in (1, 2)]
    merge = await post(client, "/merging/start", {"pullRequests": pulls})
    for job in (scan, asking, merge):
        taken = await snapshot_of(database, job["id"])
        assert [script.name for script in taken.setup_scripts] == ["install"]
        assert [skill.name for skill in taken.skills] == ["House style"]
        assert "ship" in [command.name for command in taken.commands]
        assert taken.config.sandbox.template_id == "big"
        for agent in taken.steps:
            assert (agent.model, agent.thinking_effort, agent.skills, agent.commands) == (
                "m-own",
                "max",
                ["House style"],
                ["ship"],
            )
            assert agent.context is not None
            assert agent.context.content == "Orders have lines."
    assert "write-tests" in [command.name for command in (await snapshot_of(database, scan["id"])).commands]

    own = await post(client, "/issue-sessions/start", {"prompt": "Look", "templateId": "base"})
    assert (await snapshot_of(database, own["id"])).config.sandbox.template_id == "base"
    asked = {"model": "m-asked", "sandbox": {"templateId": "base"}}
    merge = await post(client, "/merging/start", {"pullRequests": pulls, "config": asked})
    taken = await snapshot_of(database, merge["id"])
    assert (taken.steps[0].model, taken.config.sandbox.template_id) == ("m-asked", "base")


async def test_a_run_brings_no_more_along_than_fits(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        await post(client, "/commands", {"name": name, "content": "x" * 600})
    workflow = await post(client, "/workflows/create", {"name": "W"})
    monkeypatch.setattr("models.jobs.snapshot_builder.MAX_SNAPSHOT_CHARS", 1_000)
    body = {
        "workflowId": workflow["id"],
        "githubRepoUrl": "https://github.com/org/repo",
        "prompt": "/one /two",
    }
    refused = await client.post("/runs/start", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "VALIDATION")
    assert "more than 1,000" in refused.json()["error"]["message"]
    await post(client, "/runs/start", {**body, "prompt": "/one"})
