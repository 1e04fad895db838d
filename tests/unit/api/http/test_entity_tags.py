"""Entity tags: an answer that the client has already, and conditions that no operation passes over."""

from uuid import uuid4

import httpx
import pytest

from kit.database import Database
from tests.conftest import ProjectKey
from tests.support.issue_scan_rows import make_issue_session
from tests.support.operations import PRIVATE, Operation

CHANGES = [operation for operation in PRIVATE if operation.method != "GET"]


async def test_an_object_that_the_client_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    first = await client.get("/project")
    again = await client.get("/project", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    await client.post("/project/update", json={"name": "Another"})
    assert (await client.get("/project", headers={"If-None-Match": first.headers["ETag"]})).status_code == 200


@pytest.mark.parametrize("operation", CHANGES, ids=str)
async def test_no_operation_passes_over_a_condition(client: httpx.AsyncClient, operation: Operation) -> None:
    headers = {"If-Match": '"of another state"'}
    url = f"http://test{operation.url}"
    answer = await client.request(operation.method, url, json=operation.body or {}, headers=headers)
    assert answer.status_code in (400, 403, 404, 409, 412), answer.text


async def test_invitation_under_a_condition_is_refused(client: httpx.AsyncClient) -> None:
    address = f"{uuid4().hex}@example.com"
    answer = await client.post(
        "/project/members/invite", json={"email": address}, headers={"If-Match": '"x"'}
    )
    assert (answer.status_code, answer.json()["error"]["field"]) == (400, "If-Match")
    assert address not in (await client.get("/project/members")).text


async def test_a_condition_holds_in_the_trash_too(
    client: httpx.AsyncClient, database: Database, project: ProjectKey
) -> None:
    this = {"sessionId": await make_issue_session(database, project.id)}
    shown = await client.get("/issue-sessions/get", params={"id": this["sessionId"]})
    assert (await client.post("/issue-sessions/delete", json=this)).status_code == 200
    for tag, status in [('"another"', 412), (shown.headers["ETag"], 200)]:
        answer = await client.post("/issue-sessions/restore", json=this, headers={"If-Match": tag})
        assert answer.status_code == status, answer.text
