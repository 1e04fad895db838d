"""The trash over the API: every kind into it, out of it and away for good, and who may do that."""

import itertools
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import SQLModel
from temporalio.client import Client

from activities.trash.launch import Deletion
from kit.database import Database
from kit.ids import new_id
from kit.settings import Settings
from kit.temporal import connect
from models import (
    AnsweringSession,
    ApiKey,
    Asset,
    Blueprint,
    Issue,
    Learning,
    Member,
    MergeJob,
    Persona,
    Run,
    Sandbox,
    SandboxJob,
)
from models.assets.asset import AssetKind
from models.base import now
from models.blueprints.persona import StepRole
from models.issues.answering_session import AnsweringStatus
from models.issues.issue import IssueStatus
from models.merging.merge_job import MergeKind
from models.projects.api_key import SCOPES
from models.projects.project import Role
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from models.trash.kinds import CONTEXT, SANDBOX, TRASH_KINDS, TrashType
from models.trash.moves import remove
from models.trash.trashable import Trashable
from tests.conftest import ProjectKey, make_project
from tests.support.contract_client import ContractClient
from tests.support.issue_scan_rows import make_issue_session
from tests.unit.api.conftest import client_of

REPOSITORY = "https://github.com/org/repo"


async def add(database: Database, *rows: SQLModel) -> None:
    async with database.transaction() as session:
        session.add_all(rows)


async def a_run(database: Database, project_id: str, number: int, **fields: object) -> str:
    """The object_id of a completed run."""
    run = Run(
        project_id=project_id,
        run_number=number,
        name=f"Run {number}",
        prompt="p",
        blueprint_name="Build",
        blueprint_id=new_id("wf"),
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
    )
    run.close(RunStatus.completed)
    run.sqlmodel_update(fields)
    await add(database, run)
    return run.id


async def one_of_each(database: Database, project_id: str) -> dict[TrashType, str]:
    """The ids of an object of every kind, none of them in the trash."""
    scan, run = await make_issue_session(database, project_id), await a_run(database, project_id, 1)
    answering = AnsweringSession(
        project_id=project_id,
        name="Answers",
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
        issue_session_id=new_id("is"),
        time_limit_seconds=60,
    )
    answering.close(AnsweringStatus.completed)
    box = Sandbox(project_id=project_id, job_id=run, name="run-1", template_id="base", timeout_ms=60_000)
    box.mark_ended()
    rows: dict[TrashType, Trashable] = {
        TrashType.sandbox: box,
        TrashType.workflow: Blueprint(project_id=project_id, name="Build", pipeline_steps=[], config={}),
        TrashType.persona: Persona(project_id=project_id, name="Ann", type=StepRole.designer),
        TrashType.learning: Learning(project_id=project_id, description="Be kind"),
        TrashType.answering_session: answering,
        TrashType.context: Asset.in_kind(AssetKind.context, project_id=project_id, name="House rules"),
    }
    await add(database, *rows.values())
    ids = {kind: row.id for kind, row in rows.items()}
    return {**ids, TrashType.run: run, TrashType.issue_session: scan}


async def trash_all(database: Database, ids: Mapping[TrashType, str], *, days_ago: float = 0) -> None:
    async with database.transaction() as session:
        for step, (kind, object_id) in enumerate(ids.items()):
            row = await session.get_one(TRASH_KINDS[kind].table, object_id)
            row.trash("user_1")
            row.deleted_at = now() - timedelta(days=days_ago, seconds=len(ids) - step)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


async def ids_in_trash(client: httpx.AsyncClient) -> set[str]:
    answer = await client.get("/trash/list", params={"limit": 100})
    return {entry["id"] for entry in answer.json()["data"]}


@pytest.mark.parametrize(
    ("kind", "path", "field", "noun"),
    [
        ("run", "runs", "runId", "Run"),
        ("sandbox", "sandboxes", "sandboxId", "Sandbox"),
        ("workflow", "workflows", "workflowId", "Workflow"),
        ("issueSession", "issue-sessions", "sessionId", "IssueSession"),
    ],
)
async def test_the_verbs_of_a_resource(
    client: httpx.AsyncClient,
    project: ProjectKey,
    database: Database,
    kind: str,
    path: str,
    field: str,
    noun: str,
) -> None:
    ask = ContractClient(client)
    object_id = (await one_of_each(database, project.id))[TrashType(kind)]
    before = await ask(f"get{noun}", id=object_id)
    assert await ask(f"delete{noun}", {field: object_id}) == before
    assert code(await client.get(f"/{path}/get", params={"id": object_id})) == (404, "NOT_FOUND")
    assert object_id not in {each["id"] for each in (await client.get(f"/{path}/list")).json()["data"]}
    assert code(await client.post(f"/{path}/delete", json={"id": object_id})) == (404, "NOT_FOUND")
    assert await ids_in_trash(client) == {object_id}
    assert await ask(f"restore{noun}", {"id": object_id}) == before == await ask(f"get{noun}", id=object_id)
    assert code(await client.post(f"/{path}/restore", json={field: object_id})) == (409, "CONFLICT")
    assert (await ask(f"permanentlyDelete{noun}", {field: object_id}))["id"] == object_id
    assert await ids_in_trash(client) == set()
    for verb in ("delete", "restore", "permanent-delete"):
        assert code(await client.post(f"/{path}/{verb}", json={field: object_id})) == (404, "NOT_FOUND")
    assert code(await client.post(f"/trash/{kind}/{object_id}/restore")) == (404, "NOT_FOUND")


async def test_several_at_once(client: httpx.AsyncClient, project: ProjectKey, database: Database) -> None:
    ask = ContractClient(client)
    there = await one_of_each(database, project.id)
    for operation, field, kind in (
        ("bulkDeleteRuns", "runIds", TrashType.run),
        ("bulkDeleteWorkflows", "workflowIds", TrashType.workflow),
        ("bulkDeletePersonas", "personaIds", TrashType.persona),
        ("bulkDeleteIssueSessions", "sessionIds", TrashType.issue_session),
    ):
        body = {field: [there[kind], new_id("r"), "nonsense"]}
        assert await ask(operation, body) == {"count": 1}
        assert await ask(operation, body) == {"count": 0}
    kept = await a_run(database, project.id, 2)
    at_work = await a_run(database, project.id, 3, status=RunStatus.running, completed_at=None)
    answer = await client.post("/runs/bulk-delete", json={"runIds": [kept, at_work]})
    assert code(answer) == (409, "CONFLICT")
    assert "Run 3 is running" in answer.json()["error"]["message"]
    await ask("getRun", id=kept)
    deleted = await one_of_each(database, (await make_project(database)).id)
    assert await ask("bulkDeletePersonas", {"personaIds": [deleted[TrashType.persona]]}) == {"count": 0}


async def test_one_list_over_all_kinds(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    ask = ContractClient(client)
    there = await one_of_each(database, project.id)
    assert await ask("listTrash") == []
    await trash_all(database, there)
    listed = await ask("listTrash")
    assert [(each["type"], each["id"]) for each in listed] == list(reversed(there.items()))
    assert {each["deletedBy"] for each in listed} == {"user_1"}
    for each in listed:
        assert each["expiresAt"][:10] > each["deletedAt"][:10]
    pages, cursor = [], None
    while True:
        answer = await client.get("/trash", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        pages += answer.json()["data"]
        if not (cursor := answer.json()["nextCursor"]):
            break
    assert pages == listed
    assert [each["id"] for each in await ask("listTrashRest", type="context")] == [there[TrashType.context]]
    other_list = (await client.get("/trash", params={"limit": 2})).json()["nextCursor"]
    answer = await client.get("/trash", params={"type": "run", "cursor": other_list})
    assert answer.json()["error"]["field"] == "cursor"
    assert (await client.get("/trash", params={"type": "issue"})).json()["error"]["field"] == "type"
    assert (await stranger.get("/trash/list")).json()["data"] == []


async def move(
    client: httpx.AsyncClient, verb: str, kind: TrashType, object_id: str, *, rest: bool
) -> httpx.Response:
    """`restore` or `permanent-delete` in either spelling."""
    if not rest:
        return await client.post(f"/trash/{verb}", json={"entityType": kind, "entityId": object_id})
    path = f"/trash/{kind}/{object_id}"
    return await (client.post(f"{path}/restore") if verb == "restore" else client.delete(path))


@pytest.mark.parametrize("rest", [True, False])
async def test_every_kind_by_the_trash(
    client: httpx.AsyncClient,
    stranger: httpx.AsyncClient,
    project: ProjectKey,
    database: Database,
    rest: bool,
) -> None:
    there = await one_of_each(database, project.id)
    for kind, object_id in there.items():
        for verb in ("restore", "permanent-delete"):
            refused = await move(client, verb, kind, object_id, rest=rest)
            assert code(refused) == (409, "CONFLICT"), "it is not in the trash"
            await trash_all(database, {kind: object_id})
            assert code(await move(stranger, verb, kind, object_id, rest=rest)) == (404, "NOT_FOUND")
            moved = await move(client, verb, kind, object_id, rest=rest)
            assert moved.status_code == 200, moved.text
            assert (moved.json()["data"]["id"], moved.json()["data"]["type"]) == (object_id, kind)
            assert await ids_in_trash(client) == set()
        for verb in ("restore", "permanent-delete"):
            assert code(await move(client, verb, kind, object_id, rest=rest)) == (404, "NOT_FOUND")
    for path in ("/trash/issue/x", f"/trash/run/{there[TrashType.persona]}"):
        assert code(await client.delete(path)) == (404, "NOT_FOUND")


async def test_the_trash_answers_as_described(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    ask, run = ContractClient(client), await a_run(database, project.id, 1)
    body, path = {"entityType": "run", "entityId": run}, f"run/{run}"
    trashed = {"id": run, "_id": run, "type": "run", "name": "Run 1"}
    await trash_all(database, {TrashType.run: run})
    assert await ask("restoreFromTrashByBody", body) == trashed
    await trash_all(database, {TrashType.run: run})
    assert await ask("restoreFromTrash", path=path) == trashed
    await trash_all(database, {TrashType.run: run})
    assert await ask("deleteFromTrashByBody", body) == trashed
    other = await a_run(database, project.id, 2)
    await trash_all(database, {TrashType.run: other})
    assert (await ask("deleteFromTrash", path=f"run/{other}"))["id"] == other
    persona = (await one_of_each(database, (await make_project(database)).id))[TrashType.persona]
    assert code(await client.post("/personas/delete", json={"personaId": persona})) == (404, "NOT_FOUND")
    mine = await client.post("/personas/create", json={"name": "Ann", "type": "checker"})
    assert await ask("deletePersona", {"personaId": mine.json()["data"]["id"]}) == mine.json()["data"]


async def test_restored_an_answering_session_is_what_it_was(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    ended = (await one_of_each(database, project.id))[TrashType.answering_session]
    at_work = AnsweringSession(
        project_id=project.id,
        name="Answers",
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
        issue_session_id=await make_issue_session(database, project.id),
        time_limit_seconds=60,
        started_at=now(),
    )
    await add(database, at_work)
    for object_id, status in ((ended, "completed"), (at_work.id, "failed")):
        archived = await client.delete(f"/answering-sessions/{object_id}")
        assert archived.json()["data"]["status"] == "archived"
        assert (await client.post(f"/trash/answeringSession/{object_id}/restore")).status_code == 200
        restored = (await client.get(f"/answering-sessions/{object_id}")).json()["data"]
        assert restored["status"] == status
    assert restored["error"]["code"] == "ARCHIVED"


async def test_what_something_at_work_needs_stays(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, workflow: str
) -> None:
    at_work: dict[str, Any] = {"status": RunStatus.running, "completed_at": None}
    run, merging = await a_run(database, project.id, 1, **at_work), await a_run(database, project.id, 2)
    box = Sandbox(project_id=project.id, job_id=run, name="b", template_id="base", timeout_ms=60_000)
    merge = MergeJob(
        project_id=project.id,
        name="m",
        run_id=merging,
        kind=MergeKind.pull_request,
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
        requested_by=project.member_id,
    )
    box.status = SandboxStatus.running
    await add(database, box, merge)
    await client.post("/project/update", json={"githubRepoUrl": REPOSITORY})
    task = await client.post(
        "/recurring-tasks",
        json={
            "title": "Audit",
            "prompt": "p",
            "frequency": "daily",
            "targetWorkflowId": workflow,
            "timezone": "UTC",
            "scheduledHour": 3,
            "scheduledMinute": 0,
        },
    )
    task_id = task.json()["data"]["id"]
    scan = await make_issue_session(database, project.id)
    answering = AnsweringSession(
        project_id=project.id,
        name="Answers",
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
        issue_session_id=scan,
        time_limit_seconds=60,
    )
    await add(database, answering)
    for path, object_id, why in (
        ("runs", run, "Run 1 is running: cancel it first."),
        ("runs", merging, merge.id),
        ("sandboxes", box.id, run),
        ("workflows", workflow, task_id),
        ("issue-sessions", scan, answering.id),
    ):
        for verb in ("delete", "permanent-delete"):
            answer = await client.post(f"/{path}/{verb}", json=_body(path, object_id))
            assert code(answer) == (409, "CONFLICT"), path
            assert why in answer.json()["error"]["message"]
    assert await ids_in_trash(client) == set()
    await client.put(f"/recurring-tasks/{task_id}/toggle", json={"isActive": False})
    assert (await client.post("/workflows/delete", json={"workflowId": workflow})).status_code == 200
    assert code(await client.get("/workflows/get", params={"id": workflow})) == (404, "NOT_FOUND")
    started = await client.post("/runs/start", json={"workflowId": workflow, "prompt": "p"})
    assert code(started) == (404, "NOT_FOUND")


def _body(path: str, object_id: str) -> dict[str, str]:
    return {{"issue-sessions": "sessionId"}.get(path, "id"): object_id}


async def test_a_workflow_of_a_chain_at_work_is_named(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, workflow: str
) -> None:
    chain = await unplugged.post(
        "/sprint-chains",
        json={"workflowId": workflow, "sprintRange": [1, 2], "prompt": "p", "githubRepoUrl": REPOSITORY},
    )
    answer = await client.post("/workflows/delete", json={"workflowId": workflow})
    assert code(answer) == (409, "CONFLICT")
    assert chain.json()["data"]["id"] in answer.json()["error"]["message"]


async def test_a_trashed_run_takes_its_issue_along_and_back(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    run = await a_run(database, project.id, 1)
    issue = Issue(project_id=project.id, title="Bug", run_id=run, status=IssueStatus.completed)
    await add(database, issue)

    async def status() -> str:
        answer = await client.get("/issues/get", params={"id": issue.id})
        return str(answer.json()["data"]["status"])

    await client.post("/runs/delete", json={"runId": run})
    assert await status() == "failed"
    await client.post("/runs/restore", json={"runId": run})
    assert await status() == "completed"


async def test_a_run_deleted_for_good_hides_its_sandboxes(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    there = await one_of_each(database, project.id)
    await trash_all(database, {TrashType.sandbox: there[TrashType.sandbox]})
    assert await ids_in_trash(client) == {there[TrashType.sandbox]}
    await client.post("/runs/permanent-delete", json={"runId": there[TrashType.run]})
    assert await ids_in_trash(client) == set()
    for path in ("get", "messages", "events"):
        answer = await client.get(f"/sandboxes/{path}", params={"id": there[TrashType.sandbox]})
        assert code(answer) == (404, "NOT_FOUND")


async def test_a_sandbox_of_ones_own_ends_with_its_deletion(
    unplugged: httpx.AsyncClient, database: Database
) -> None:
    """And is gone with its job."""
    await unplugged.post("/project/update", json={"githubRepoUrl": REPOSITORY})
    box = (await unplugged.post("/sandboxes/create", json={})).json()["data"]
    deleted = await unplugged.post("/sandboxes/delete", json={"sandboxId": box["id"]})
    assert (deleted.status_code, deleted.json()["data"]["status"]) == (200, "killed")
    async with database.transaction() as session:
        assert (await session.get_one(SandboxJob, box["jobId"])).is_finished
    assert (await unplugged.delete(f"/trash/sandbox/{box['id']}")).status_code == 200
    async with database.transaction() as session:
        await remove(session, SANDBOX, box["id"])
    async with database.transaction() as session:
        assert await session.get(SandboxJob, box["jobId"]) is None
        assert await session.get(Sandbox, box["id"]) is None


@pytest.fixture
async def engine_of_api(api_settings: Settings) -> Client:
    return await connect(api_settings)


async def test_deleted_for_good_a_workflow_is_started_for_each(
    client: httpx.AsyncClient, project: ProjectKey, database: Database, engine_of_api: Client
) -> None:
    """Of a scan's answering sessions too, which are about nothing without it."""
    scan = await make_issue_session(database, project.id)
    answering = AnsweringSession(
        project_id=project.id,
        name="Answers",
        github_repo_url=REPOSITORY,
        repository_slug="org/repo",
        issue_session_id=scan,
        time_limit_seconds=60,
    )
    answering.close(AnsweringStatus.completed)
    await add(database, answering)
    assert (
        await client.post("/issue-sessions/permanent-delete", json={"sessionId": scan})
    ).status_code == 200
    assert code(await client.get(f"/answering-sessions/{answering.id}")) == (404, "NOT_FOUND")
    for kind, object_id in ((TrashType.issue_session, scan), (TrashType.answering_session, answering.id)):
        deletion = Deletion(type=kind, id=object_id, project_id=project.id)
        described = await engine_of_api.get_workflow_handle(deletion.temporal_workflow_id).describe()
        assert described.workflow_type == "PermanentDeletion"
        await engine_of_api.get_workflow_handle(deletion.temporal_workflow_id).terminate()


async def test_deleted_for_good_while_the_engine_is_away(
    unplugged: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    run = await a_run(database, project.id, 1)
    assert (await unplugged.post("/runs/permanent-delete", json={"runId": run})).status_code == 200
    assert code(await unplugged.get("/runs/get", params={"id": run})) == (404, "NOT_FOUND")
    async with database.transaction() as session:
        assert (await session.get_one(Run, run)).purged_at is not None


@pytest.fixture
async def member(app: FastAPI, project: ProjectKey, database: Database) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a member who is neither owner nor admin, with every scope."""
    async with client_of(app, await another(database, project, Role.member)) as client:
        yield client


async def another(
    database: Database, project: ProjectKey, role: Role, without: str | None = None
) -> ProjectKey:
    person = Member(project_id=project.id, email=f"{new_id('m')}@example.com", name="M", role=role)
    scopes = [scope for scope in SCOPES if scope != without]
    key, secret = ApiKey.generate(project_id=project.id, member_id=person.id, name="k", scopes=scopes)
    await add(database, person)
    await add(database, key)
    return ProjectKey(project.id, person.id, key.id, secret)


async def test_a_member_cannot_delete_workflows(
    member: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    there = await one_of_each(database, project.id)
    workflow = there[TrashType.workflow]
    for path, body in (
        ("/workflows/delete", {"workflowId": workflow}),
        ("/workflows/bulk-delete", {"workflowIds": [workflow]}),
        ("/workflows/permanent-delete", {"workflowId": workflow}),
        ("/trash/permanent-delete", {"entityType": "workflow", "entityId": workflow}),
    ):
        assert code(await member.post(path, json=body)) == (403, "FORBIDDEN")
    assert code(await member.delete(f"/trash/workflow/{workflow}")) == (403, "FORBIDDEN")
    assert (await member.post("/runs/delete", json={"runId": there[TrashType.run]})).status_code == 200
    await trash_all(database, {TrashType.workflow: workflow})
    assert (await member.post(f"/trash/workflow/{workflow}/restore")).status_code == 200


async def test_each_kind_asks_for_its_own_scope(
    app: FastAPI, project: ProjectKey, database: Database
) -> None:
    there = await one_of_each(database, project.id)
    await trash_all(database, there)
    for kind, object_id in there.items():
        scope = TRASH_KINDS[kind].scope
        async with client_of(app, await another(database, project, Role.owner, without=scope)) as client:
            for verb, rest in itertools.product(("restore", "permanent-delete"), (True, False)):
                answer = await move(client, verb, kind, object_id, rest=rest)
                assert code(answer) == (403, "SCOPE_DENIED")
                assert f"'{scope}'" in answer.json()["error"]["message"]
    async with database.transaction() as session:
        for kind, object_id in there.items():
            row = await session.get_one(TRASH_KINDS[kind].table, object_id)
            assert (row.deleted_at is not None, row.purged_at) == (True, None)


async def test_nothing_names_a_context_that_was_deleted_for_good(
    client: httpx.AsyncClient, project: ProjectKey, database: Database
) -> None:
    rules, style = (
        Asset.in_kind(AssetKind.context, project_id=project.id, name=name) for name in ("Rules", "Style")
    )
    await add(database, rules, style)
    given = {
        "issueConfig": {"contextId": rules.id, "model": "claude-x"},
        "judgeConfig": {"contextId": style.id},
    }
    assert (await client.post("/project/settings/update", json=given)).status_code == 200
    await trash_all(database, {TrashType.context: rules.id})
    assert (await client.delete(f"/trash/context/{rules.id}")).status_code == 200
    async with database.transaction() as session:
        await remove(session, CONTEXT, rules.id)
    settings = (await client.get("/project/settings")).json()["data"]
    assert (settings["issueConfig"]["contextId"], settings["issueConfig"]["model"]) == (None, "claude-x")
    assert settings["judgeConfig"]["contextId"] == style.id
