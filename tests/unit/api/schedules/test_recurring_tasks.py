"""Recurring tasks by REST, against the engine's own word on when it will fire."""

from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from temporalio.client import Client, ScheduleOverlapPolicy
from temporalio.service import RPCError

from kit.settings import Settings
from kit.temporal import connect
from models.base import now
from tests.conftest import ProjectKey
from tests.support.contract_client import ContractClient

Body = dict[str, Any]


@pytest.fixture
async def body(client: httpx.AsyncClient, workflow: str) -> Body:
    await client.post("/project/update", json={"githubRepoUrl": "https://github.com/org/repo"})
    return {
        "title": "Weekly bundle size check",
        "description": "Ensure the bundle stays under 200KB",
        "prompt": "Run the build and measure bundle size.",
        "frequency": "weekly",
        "targetWorkflowId": workflow,
        "timezone": "America/Chicago",
        "scheduledHour": 8,
        "scheduledMinute": 5,
    }


@pytest.fixture
async def temporal_client(api_settings: Settings) -> Client:
    return await connect(api_settings)


async def created(client: httpx.AsyncClient, body: Body, **changes: Any) -> Body:
    answer = await client.post("/recurring-tasks", json={**body, **changes})
    assert answer.status_code == 201, answer.text
    task: Body = answer.json()["data"]
    return task


async def previewed(client: httpx.AsyncClient, task: Body, count: int = 10) -> list[str]:
    answer = await client.get(f"/recurring-tasks/{task['id']}/preview", params={"count": count})
    assert answer.status_code == 200, answer.text
    times: list[str] = answer.json()["data"]["times"]
    return times


async def test_they_are_as_documented(client: httpx.AsyncClient, body: Body) -> None:
    ask = ContractClient(client)
    task = await ask("createRecurringTask", body)
    assert {name: task[name] for name in body} == body
    assert task["isActive"] is True
    assert task == await ask("getRecurringTask", path=task["id"])
    other = await ask("createRecurringTaskLegacy", body)
    assert [each["id"] for each in await ask("listRecurringTasks")] == [other["id"], task["id"]]
    changed = await ask("updateRecurringTask", {"scheduledHour": 9, "description": None}, path=task["id"])
    assert (changed["scheduledHour"], changed["description"]) == (9, None)
    await ask("toggleRecurringTask", {"isActive": False}, path=task["id"])
    assert await ask("listRecurringTasks", isActive="false") == [
        await ask("getRecurringTask", path=task["id"])
    ]
    assert (await ask("previewRecurringTask", path=other["id"]))["times"]
    run = await ask("triggerRecurringTask", path=other["id"])
    assert (run["source"], run["recurringTaskId"], run["recurrencePattern"]) == (
        "scheduled",
        other["id"],
        "weekly",
    )
    assert run["scheduledFor"] is not None
    await ask("deleteRecurringTask", path=task["id"])
    assert (await client.get(f"/recurring-tasks/{task['id']}")).status_code == 404


@pytest.mark.parametrize("frequency", ["daily", "every_other_day", "weekly", "biweekly", "monthly"])
async def test_the_next_run_is_what_the_engine_will_fire(
    client: httpx.AsyncClient, body: Body, frequency: str
) -> None:
    task = await created(client, body, frequency=frequency)
    times = await previewed(client, task)
    assert len(times) == 10
    assert times[0] == task["nextRunAt"]
    assert times == sorted(times)
    assert datetime.fromisoformat(times[0]) > now()
    assert len(await previewed(client, task, 3)) == 3


async def test_a_schedule_is_as_agreed(
    client: httpx.AsyncClient, temporal_client: Client, body: Body, project: ProjectKey
) -> None:
    task = await created(client, body)
    told = await temporal_client.get_schedule_handle(task["id"]).describe()
    policy = told.schedule.policy
    assert policy.overlap is ScheduleOverlapPolicy.SKIP
    assert policy.catchup_window == timedelta(minutes=1)
    shown = {pair.key.name: pair.value for pair in told.typed_search_attributes}
    assert str(shown.pop("Installation")).startswith("ins_")
    assert shown == {"ProjectId": project.id, "Kind": "recurring-task"}


async def test_switched_off_and_on_it_looks_ahead_from_now(client: httpx.AsyncClient, body: Body) -> None:
    task = await created(client, body, frequency="daily")
    off = await client.put(f"/recurring-tasks/{task['id']}/toggle", json={"isActive": False})
    assert (off.json()["data"]["isActive"], off.json()["data"]["nextRunAt"]) == (False, None)
    assert await previewed(client, task) == []
    on = await client.put(f"/recurring-tasks/{task['id']}/toggle", json={"isActive": True})
    assert on.json()["data"]["nextRunAt"] == task["nextRunAt"]
    assert (await previewed(client, task))[0] == task["nextRunAt"]


async def test_a_changed_time_is_the_engines_too(client: httpx.AsyncClient, body: Body) -> None:
    task = await created(client, body, frequency="daily")
    changes = {"frequency": "biweekly", "scheduledHour": 9, "timezone": "Europe/London"}
    changed = (await client.put(f"/recurring-tasks/{task['id']}", json=changes)).json()["data"]
    assert {**task, **changes} | {"nextRunAt": 0, "updatedAt": 0} == changed | {
        "nextRunAt": 0,
        "updatedAt": 0,
    }
    assert (await previewed(client, task))[0] == changed["nextRunAt"] != task["nextRunAt"]


async def test_a_deleted_task_has_no_schedule(
    client: httpx.AsyncClient, temporal_client: Client, body: Body
) -> None:
    task = await created(client, body)
    assert (await client.delete(f"/recurring-tasks/{task['id']}")).json()["data"]["id"] == task["id"]
    with pytest.raises(RPCError, match="not found"):
        await temporal_client.get_schedule_handle(task["id"]).describe()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timezone", "Mars/Olympus"),
        ("timezone", "../../etc/passwd"),
        ("timezone", ""),
        ("scheduledHour", 24),
        ("scheduledMinute", -1),
        ("scheduledHour", None),
        ("frequency", "hourly"),
        ("prompt", ""),
        ("title", ""),
        ("title", "x" * 201),
    ],
)
async def test_what_a_task_cannot_be(client: httpx.AsyncClient, body: Body, field: str, value: Any) -> None:
    task = await created(client, body)
    for answer in (
        await client.post("/recurring-tasks", json={**body, field: value}),
        await client.put(f"/recurring-tasks/{task['id']}", json={field: value}),
    ):
        assert (answer.status_code, answer.json()["error"]["field"]) == (400, field)
    assert (await client.get(f"/recurring-tasks/{task['id']}")).json()["data"] == task


async def test_it_needs_a_workflow_and_a_repository(
    client: httpx.AsyncClient, stranger: httpx.AsyncClient, body: Body
) -> None:
    unknown = await client.post("/recurring-tasks", json={**body, "targetWorkflowId": "wf_" + "0" * 32})
    assert unknown.status_code == 404
    await stranger.post("/project/update", json={"githubRepoUrl": "https://github.com/org/repo"})
    assert (await stranger.post("/recurring-tasks", json=body)).status_code == 404
    await client.post("/project/update", json={"githubRepoUrl": None})
    refused = await client.post("/recurring-tasks", json=body)
    assert (refused.status_code, "githubRepoUrl" in refused.json()["error"]["message"]) == (409, True)


async def test_without_the_engine_it_is_kept_and_previewed_later(
    client: httpx.AsyncClient, unplugged: httpx.AsyncClient, body: Body
) -> None:
    task = await created(unplugged, body)
    assert task["nextRunAt"] is not None
    answer = await unplugged.get(f"/recurring-tasks/{task['id']}/preview")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "UNAVAILABLE")
    assert await previewed(client, task) == []
