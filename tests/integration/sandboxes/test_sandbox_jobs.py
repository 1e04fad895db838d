"""Sandboxes of one's own on the real site: created, talked to, looked into, and gone."""

import asyncio
import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
from fastapi import FastAPI
from sqlmodel import col

from activities.gateway_factory import GatewayFactory
from activities.reconcile.admission import START_SCHEDULE
from activities.reconcile.missing_sandboxes import MissingSandboxes
from activities.reconcile.orphaned_workflows import OrphanedWorkflows
from activities.reconcile.sandbox_accounts import SandboxAccounts
from api.app import create_app
from gateways.sandboxes.sandbox import SandboxHandle
from kit.crypto import Vault
from models import (
    AgentSession,
    Event,
    FollowUp,
    JobSnapshot,
    Project,
    Sandbox,
    SandboxEvent,
    SandboxJob,
    ToolCall,
    UsageRecord,
)
from models.event import EventType
from models.jobs.snapshot import Snapshot
from models.sandboxes.sandbox import SandboxStatus
from models.sandboxes.sandbox_job import SandboxJobStatus
from tests.conftest import ProjectKey, make_project
from tests.support import sandbox_jobs
from tests.support.contract_client import BY_ID, ContractClient
from tests.support.contract_client import closed_schema as closed
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.sandbox_deletion import delete_sandbox
from tests.support.scenarios import Turn, bash, create, register_scenario, with_delay
from tests.support.stack import Servers
from tests.support.waiting import TEST_TIMEOUT_SECONDS
from tests.unit.api.conftest import client_of

SECRET = "s3cr3t-of-the-project-4711"


def says(text: str) -> Turn:
    return {"toolCalls": [], "text": text}


TALK = register_scenario(
    "own-talk", create("made.txt", "one\n"), says("Made it."), bash("echo two >> made.txt"), says("And two.")
)
SLOW = register_scenario("own-slow", with_delay(says("First."), 1.5), says("Second."), says("Third."))
ENDLESS = register_scenario("own-endless", bash("sleep 60"), says("Never."))
KILLED = register_scenario("own-killed", bash("echo once >> made.txt"), says("Made."), says("Again."))
LOST = register_scenario("own-lost", bash("echo never"), says("Never."))
HOSTILE = r"""
cd /home/user/repo
git clean -fdxq
for word in clean smudge; do git config "filter.evil.$word" 'touch /tmp/ran; cat'; done
git config diff.evil.textconv 'touch /tmp/ran; cat'
git config diff.evil.command 'touch /tmp/ran'
git config diff.external 'touch /tmp/ran'
git config core.fsmonitor 'touch /tmp/ran; false'
git config core.hooksPath /home/user/repo/hooks
git config core.pager 'touch /tmp/ran; cat'
git config core.sshCommand 'touch /tmp/ran'
git config extensions.partialClone evil
git config remote.evil.url 'ext::sh -c "touch /tmp/ran"'
git config remote.evil.promisor true
mkdir -p hooks
printf '#!/bin/sh\ntouch /tmp/ran\n' | tee hooks/post-index-change hooks/reference-transaction >hooks/x
chmod +x hooks/*
printf '* filter=evil diff=evil\n' >.gitattributes
echo changed >greet.py
echo new >new.txt
printf 'TOKEN=%s\n' "$1" >leak.txt
rm -f /tmp/ran
"""


@dataclass
class Own:
    """A project of its own on the site, a client of it, and its ready sandbox."""

    site: Installation
    project: ProjectKey
    http: httpx.AsyncClient
    sandbox: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.sandbox["id"])

    @property
    def job_id(self) -> str:
        return str(self.sandbox["jobId"])

    async def inside(self) -> SandboxHandle:
        [facts] = await self.site.sandboxes.find({"sandbox": self.id})
        return await self.site.sandboxes.attach(facts.id, 600)

    async def run(self, command: str, *words: str) -> str:
        """What a command in the sandbox prints, as the agent would run it."""
        done = await (await self.inside()).run(["bash", "-c", command, "x", *words], timeout_seconds=60)
        assert done.exit_code == 0, done.stderr
        return done.stdout

    async def get(self, what: str, status: int = 200, /, **query: Any) -> Any:
        answer = await self.http.get(f"/sandboxes/{what}", params={"id": self.id, **query})
        assert answer.status_code == status, answer.text
        return answer.json()["data"] if status == 200 else answer.json()["error"]

    async def post(self, what: str, status: int = 200, /, **body: Any) -> Any:
        answer = await self.http.post(f"/sandboxes/{what}", json={"sandboxId": self.id, **body})
        assert answer.status_code == status, answer.text
        return answer.json()["data"] if status < 300 else answer.json()["error"]

    async def answers(self, count: int) -> list[dict[str, Any]]:
        """The agent's texts, once there are so many."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            messages = await self.get("messages")
            found[:] = [each for each in messages if each["role"] == "assistant" and each["content"]]
            return len(found) >= count

        await wait_until(there, f"{count} answers")
        return found

    async def job(self) -> SandboxJob:
        [job] = await self.site.rows(SandboxJob, col(SandboxJob.id) == self.job_id, col(SandboxJob.id))
        return job

    async def ended(self) -> SandboxJob:
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await self.site.client.get_workflow_handle(self.job_id).result()
        return await self.job()

    async def end(self) -> SandboxJob:
        await self.site.client.get_workflow_handle(self.job_id).cancel()
        return await self.ended()


@pytest.fixture(scope="module")
async def project(site: Installation) -> ProjectKey:
    """Its repository is on the forge, and it has a secret environment variable."""
    made = await make_project(site.database)
    vault = Vault(site.settings.encryption_keys.get_secret_value())
    slug = await site.repository()
    async with site.database.transaction() as session:
        row = await session.get_one(Project, made.id)
        row.github_repo_url = f"{site.settings.github_url}/{slug}"
        row.env_vars = {"NPM_TOKEN": {"value": vault.seal(SECRET), "isSecret": True}}
    return made


@pytest.fixture(scope="module")
async def served(site: Installation) -> AsyncIterator[FastAPI]:
    app = create_app(site.settings)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture(scope="module")
async def http(served: FastAPI, project: ProjectKey) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(served, project) as client:
        client.timeout = httpx.Timeout(60)
        yield client


async def make(site: Installation, project: ProjectKey, http: httpx.AsyncClient, **body: Any) -> Own:
    answer = await http.post("/sandboxes/create", json=body)
    assert answer.status_code == 201, answer.text
    own = Own(site, project, http, answer.json()["data"])
    assert own.sandbox["status"] == "creating"

    async def ready() -> bool:
        own.sandbox = await own.get("get")
        return own.sandbox["expiresAt"] is not None

    await wait_until(ready, "the sandbox is ready")
    return own


@pytest.fixture(scope="module")
async def own(site: Installation, project: ProjectKey, http: httpx.AsyncClient) -> AsyncIterator[Own]:
    """One that several tests look into."""
    made = await make(site, project, http, name="Look around")
    yield made
    await made.end()


async def test_one_conversation_goes_on(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    own = await make(site, project, http, branchName="feature/new", timeoutMs=600_000)
    assert own.sandbox["status"] == "running"
    assert own.sandbox["repository"]["branchName"] == "feature/new"
    assert own.sandbox["repository"]["baseBranch"] == "main"
    sent = await own.post("send-message", 201, content=f"Make it {TALK}")
    assert (sent["status"], sent["runId"]) == ("queued", None)
    await own.answers(1)
    await own.post("send-message", 201, content="One more.")
    answers = await own.answers(2)
    assert [each["content"] for each in answers] == ["[scripted model] Made it.", "[scripted model] And two."]
    assert len({each["sessionId"] for each in answers}) == 1
    assert (await own.get("file", path="made.txt"))["content"] == "one\ntwo\n"

    async def told() -> bool:
        log = await site.rows(SandboxEvent, col(SandboxEvent.sandbox_id) == own.id, col(SandboxEvent.id))
        return [line.status for line in log if line.type == "agent-cli"] == ["completed", "completed"]

    await wait_until(told, "both rounds are in the log")
    job = await own.end()
    assert (job.status, job.cost_usd > 0) == (SandboxJobStatus.cancelled, True)
    gone = await own.get("get")
    assert (gone["status"], await site.sandboxes.find({"job": own.job_id})) == ("killed", [])
    used = await site.rows(UsageRecord, col(UsageRecord.source_id) == own.id, col(UsageRecord.id))
    assert [record.unit for record in used] == ["sandbox_seconds"]
    events = await site.rows(Event, col(Event.subject_id) == own.job_id, col(Event.seq))
    assert [event.seq for event in events] == [*range(1, len(events) + 1)]
    assert events[-1].type == EventType.sandbox_job_ended
    error = await own.post("send-message", 409, content="Hello?")
    assert "removed" in error["message"]


async def test_messages_are_taken_in_order(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    own = await make(site, project, http)
    await own.post("send-message", 201, content=f"First {SLOW}")
    for word in ("second", "third"):
        await own.post("send-message", 201, content=f"The {word} word")

    async def delivered() -> bool:
        sent = await site.rows(FollowUp, col(FollowUp.job_id) == own.job_id, col(FollowUp.id))
        return [each.status for each in sent] == ["delivered"] * 3

    await wait_until(delivered, "all messages are delivered")
    await own.answers(1)
    together = "\n".join(each["content"] for each in await own.get("messages") if each["role"] == "user")
    assert together.index("First") < together.index("second word") < together.index("third word")
    assert (
        len(await site.rows(AgentSession, col(AgentSession.job_id) == own.job_id, col(AgentSession.id))) == 1
    )
    await own.end()


async def test_ended_while_its_agent_works_it_is_removed(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient, served: FastAPI
) -> None:
    own = await make(site, project, http)
    await own.post("send-message", 201, content=f"Wait {ENDLESS}")

    async def at_work() -> bool:
        return "turn 1" in str((await own.job()).current_step_progress)

    await wait_until(at_work, "the agent works")
    await delete_sandbox(served, project, own.id)
    assert (await own.job()).status is SandboxJobStatus.cancelled
    assert "removed" in (await own.post("send-message", 409, content="Hello?"))["message"]
    assert (await own.ended()).status is SandboxJobStatus.cancelled
    assert (await own.get("get"))["status"] == "killed"
    assert await site.sandboxes.find({"job": own.job_id}) == []


async def test_an_existing_branch_is_worked_on_as_it_is(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    own = await make(site, project, http, branchName="main")
    assert own.sandbox["repository"]["baseBranch"] == "main"
    assert (await own.run("git -C /home/user/repo branch --show-current")).strip() == "main"
    await own.end()


async def test_why_it_could_not_be_made_is_told(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    answer = await http.post("/sandboxes/create", json={"baseBranch": "nowhere"})
    own = Own(site, project, http, answer.json()["data"])
    assert (await own.ended()).error_code == "BASE_BRANCH_MISSING"
    failed = await own.get("get")
    assert failed["status"] == "error"
    assert "'nowhere' does not exist" in failed["errorMessage"]
    assert await site.sandboxes.find({"job": own.job_id}) == []


async def test_its_time_ends_it_in_the_middle_of_a_turn(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    slug = await site.repository()
    job, sandbox = await sandbox_jobs.start(site, project.id, slug, f"Wait {ENDLESS}", 3)
    own = Own(site, project, http, {"id": sandbox.id, "jobId": job.id})
    assert (await own.ended()).status is SandboxJobStatus.completed
    assert (await own.get("get"))["status"] == "killed"
    [line] = await site.rows(
        SandboxEvent,
        (col(SandboxEvent.sandbox_id) == own.id) & (col(SandboxEvent.type) == "agent-cli"),
        col(SandboxEvent.id),
    )
    assert line.status == "failed"


async def test_killed_at_the_provider_it_is_a_conflict(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    own = await make(site, project, http)
    await site.sandboxes.kill_all({"sandbox": own.id})
    for path, query in (
        ("files", {}),
        ("file", {"path": "greet.py"}),
        ("git-diff", {}),
        ("preview", {}),
    ):
        error = await own.get(path, 409, **query)
        assert "gone" in error["message"]
    await own.post("preview/start", 409, command="true", port=3000)
    await own.post("send-message", 201, content=f"Do it {LOST}")
    job = await own.ended()
    assert (job.status, job.error_code) == (SandboxJobStatus.failed, "SANDBOX_LOST")
    assert (await own.get("get"))["status"] == SandboxStatus.error
    assert "lost" in (await own.get("files", 409))["message"]


async def test_left_pending_it_is_started_by_the_sweep(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    job, sandbox = await sandbox_jobs.create_pending_sandbox_job(
        site, project.id, await site.repository(), f"Do {LOST}", 5
    )
    async with site.database.transaction() as session:
        row = await session.get_one(SandboxJob, job.id)
        row.created_at = row.created_at.replace(year=2020)
    await site.client.get_schedule_handle(START_SCHEDULE).trigger()
    own = Own(site, project, http, {"id": sandbox.id, "jobId": job.id})

    async def begun() -> bool:
        return (await own.job()).is_started

    await wait_until(begun, "the sweep starts it")
    assert (await own.ended()).status is SandboxJobStatus.completed


async def test_lost_while_nobody_works_it_is_closed_by_the_sweep(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    own = await make(site, project, http)
    await site.sandboxes.kill_all({"sandbox": own.id})
    accounts = SandboxAccounts(site.database, GatewayFactory(site.settings, site.database))
    check = MissingSandboxes(site.database, accounts, timedelta(0))
    found = [finding async for finding in check.find() if finding.id == own.id]
    assert [await check.repair(finding) for finding in found] == ["marked as lost"]
    job = await own.job()
    assert (job.status, job.error_code) == (SandboxJobStatus.failed, "SANDBOX_LOST")
    orphaned = OrphanedWorkflows(site.database, site.client, timedelta(0))
    for finding in [finding async for finding in orphaned.find() if finding.id == own.job_id]:
        await orphaned.repair(finding)
    assert (await own.ended()).status is SandboxJobStatus.failed, "the first ending stays"


async def test_its_account_stays_as_long_as_it_lives(site: Installation, served: FastAPI) -> None:
    """Another key would leave it behind, unreachable and paid for; another key of the account would not."""
    project = await make_project(site.database)
    slug, own_key = await site.repository(), site.settings.e2b_api_key
    assert own_key is not None
    async with site.database.transaction() as session:
        row = await session.get_one(Project, project.id)
        row.github_repo_url = f"{site.settings.github_url}/{slug}"
    async with client_of(served, project) as http:
        http.timeout = httpx.Timeout(60)
        own = await make(site, project, http)

        async def set_key(key: str) -> httpx.Response:
            return await http.post("/project/provider-keys/set", json={"provider": "e2b", "key": key})

        refused = await set_key("e2b_of-another-account")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "CONFLICT")
        assert "1 of the project's sandboxes would be left behind" in refused.json()["error"]["message"]
        assert (await set_key(own_key.get_secret_value())).status_code == 200, "it reaches the same account"
        await own.end()
        assert (await set_key("e2b_of-another-account")).status_code == 200, "nothing is left behind"
        deleted = await http.post("/project/provider-keys/delete", json={"provider": "e2b"})
        assert deleted.status_code == 200


@pytest.mark.soak
@pytest.mark.parametrize("seam", ["sandbox-made", "answered"])
async def test_it_survives_the_kill_of_its_worker(parts: Servers, tmp_path: Path, seam: str) -> None:
    async with open_installation(parts, f"own-{seam}", tmp_path / "site") as site:
        site.set_trap(seam)
        project = await site.project()
        slug = await site.repository()
        job, sandbox = await sandbox_jobs.start(site, project.id, slug, f"Do {KILLED}", 15)
        worker = await site.start_worker()
        assert await worker.ended(60), f"the worker never came to {seam}"
        await site.start_worker()
        async with asyncio.timeout(TEST_TIMEOUT_SECONDS):
            await site.client.get_workflow_handle(job.id).result()
        [ended] = await site.rows(SandboxJob, col(SandboxJob.id) == job.id, col(SandboxJob.id))
        assert ended.status is SandboxJobStatus.completed
        calls = await site.rows(ToolCall, col(ToolCall.name) == "bash", col(ToolCall.id))
        assert len(calls) == 1
        made = await site.rows(Sandbox, col(Sandbox.job_id) == job.id, col(Sandbox.id))
        assert [box.id for box in made] == [sandbox.id], "there is no other sandbox"
        assert await site.sandboxes.find({"job": job.id}) == []
        used = await site.rows(UsageRecord, col(UsageRecord.source_id) == sandbox.id, col(UsageRecord.id))
        assert len(used) == 1


async def test_files_are_listed_by_pages(own: Own) -> None:
    await own.run(
        "mkdir /home/user/repo/many && cd /home/user/repo/many && touch a{1..7} && ln -s a1 link && mkdir d"
    )
    names: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        query: dict[str, str | int] = {"id": own.id, "path": "many", "limit": 4, **cursor}
        page = (await own.http.get("/sandboxes/files", params=query)).json()
        names += [f"{each['name']}:{each['type']}" for each in page["data"]]
        if not page["hasMore"]:
            break
        cursor = {"cursor": page["nextCursor"]}
        await own.run("rm -f /home/user/repo/many/a2")
    assert names == [*(f"a{n}:file" for n in range(1, 8)), "d:directory", "link:symlink"]
    other = await own.get("files", 400, path="many/d", **cursor)
    assert other["field"] == "cursor"
    assert "greet.py" in [each["name"] for each in await own.get("files")]
    home = [each["name"] for each in await own.get("files", path="/home/user")]
    assert "repo" in home
    assert ".codecourier" not in home


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/etc/passwd", 400),
        ("/proc/self/environ", 400),
        ("../../../etc/passwd", 400),
        ("/home/user/.codecourier/inbox", 400),
        ("/home/user2/x", 400),
        ("nothing", 404),
        ("out/passwd", 400),
        ("passwd", 400),
        ("environ", 400),
        ("private", 400),
        ("pipe", 400),
        ("loop", 404),
        ("/home/user/repo", 400),
        ("greet.py/x", 400),
    ],
)
async def test_paths_stay_in_the_home_directory(own: Own, path: str, status: int) -> None:
    await own.run(
        "cd /home/user/repo && ln -sfn /etc out && ln -sf /etc/passwd passwd && "
        "ln -sf /proc/self/environ environ && ln -sfn /home/user/.codecourier private && ln -sf loop loop && "
        "rm -f pipe && mkfifo pipe"
    )
    error = await own.get("file", status, path=path)
    assert status == 404 or error["field"] == "path"
    assert "root:" not in str(error)
    if path in ("out/passwd", "private"):
        await own.get("files", 400, path=path.split("/")[0])


async def test_what_is_read_is_masked(own: Own) -> None:
    await own.run(
        'set -e; cd /home/user/repo; printf "a %s b" "$1" >text && printf "\\0%s\\1" "$1" >binary && '
        'printf "%s" "$1" | base64 >encoded; touch "n-$1"; head -c 3000000 /dev/zero | tr "\\0" x >large; '
        'head -c 1048570 /dev/zero | tr "\\0" y >across && printf "%s and on" "$1" >>across',
        SECRET,
    )
    text = await own.get("file", path="text")
    assert (text["encoding"], text["content"], text["truncated"]) == ("utf-8", "a [secret] b", False)
    binary = await own.get("file", path="/home/user/repo/binary")
    assert binary["encoding"] == "base64"
    assert base64.b64decode(binary["content"]) == b"\0[secret]\1"
    assert (await own.get("file", path="encoded"))["content"].strip() == "[secret]"
    large = await own.get("file", path="large")
    assert (len(large["content"]), large["truncated"], large["size"]) == (1024 * 1024, True, 3_000_000)
    across = await own.get("file", path="across")
    assert across["truncated"]
    assert across["content"].endswith("y[secre")
    listed = await own.get("files")
    assert "n-[secret]" in [each["name"] for each in listed]
    assert SECRET not in str(listed)
    changes = await own.get("git-diff")
    assert SECRET not in str(changes)
    assert changes["truncated"]
    assert "n-[secret]" in [each["path"] for each in changes["files"]]


async def test_the_longest_paths_are_listed_page_by_page(own: Own) -> None:
    path = "/".join(["d" * 200] * 10)
    await own.run(
        'mkdir -p "$1" && cd "$1" && for n in 1 2 3; do touch "$2$n"; done', f"repo/{path}", "ä" * 120
    )
    names: list[str] = []
    query: dict[str, str | int] = {"id": own.id, "path": path, "limit": 1}
    while True:
        answer = await own.http.get("/sandboxes/files", params=query)
        assert answer.status_code == 200, answer.text
        names += [each["name"] for each in answer.json()["data"]]
        if not answer.json()["hasMore"]:
            break
        query["cursor"] = answer.json()["nextCursor"]
    assert names == ["ä" * 120 + n for n in "123"]


async def test_changed_files_have_their_whole_paths(own: Own) -> None:
    await own.run(
        'mkdir -p repo/wide && cd repo/wide && for n in {1000..3600}; do echo >"$1$n"; done', "w" * 150
    )
    changes = await own.get("git-diff")
    wide = [each["path"] for each in changes["files"] if each["path"].startswith("wide/")]
    await own.run("rm -r repo/wide")
    assert len(wide) > 1_500
    assert {len(path) for path in wide} == {len("wide/") + 154}


async def test_a_hostile_repository_runs_nothing(own: Own) -> None:
    await own.run(HOSTILE, SECRET)
    changes = await own.get("git-diff")
    by_path = {each["path"]: each for each in changes["files"]}
    assert by_path["greet.py"] == {"path": "greet.py", "additions": 1, "deletions": 1}
    assert by_path["new.txt"]["additions"] == 1
    assert "-print('hi')\n+changed\n" in changes["patch"]
    assert "+TOKEN=[secret]" in changes["patch"]
    assert changes["base"] == own.sandbox["repository"]["baseSha"]
    assert (await own.get("git-diff", base="main"))["base"] == changes["base"]
    assert (await own.get("git-diff", 400, base="f" * 40))["field"] == "base"
    assert (await own.get("git-diff", 400, base="--output=/tmp/ran"))["field"] == "base"
    await own.get("file", path="greet.py")
    await own.get("files")
    assert "ran" not in (await own.run("ls /tmp")).split()
    await own.run("cd /home/user/repo && git diff >/dev/null 2>&1 || true")
    assert "ran" in (await own.run("ls /tmp")).split(), "the trap works"


async def test_a_preview_is_one_server(own: Own) -> None:
    assert (await own.get("preview"))["state"] == "stopped"
    command = f"echo begun {SECRET}; exec python3 -m http.server 8123"
    first = await own.post("preview/start", 201, command=command, port=8123)
    assert first["state"] in ("starting", "running")

    async def up() -> bool:
        return bool((await own.get("preview"))["state"] == "running")

    await wait_until(up, "the preview is up")
    again = await own.post("preview/start", 201, command=command, port=8123)
    assert (again["startedAt"], again["state"]) == (first["startedAt"], "running")
    assert "begun [secret]" in again["output"]
    assert "[secret]" in again["command"]
    assert (await own.run("pgrep -fc '^python3 -m http.server 8123'")).strip() == "1"
    host = again["url"].removeprefix("http://")
    async with httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(f"{own.site.settings.e2b_sandbox_url}/", headers={"Host": host})
    assert "greet.py" in page.text
    error = await own.post("preview/start", 409, command="true", port=8124)
    assert "Another preview" in error["message"]
    for _ in range(2):
        stopped = await own.post("preview/stop")
        assert (stopped["state"], stopped["url"]) == ("stopped", None)
    await own.post("preview/start", 201, command="echo no; exit 3", port=8123)

    async def failed() -> bool:
        return bool((await own.get("preview"))["state"] == "failed")

    await wait_until(failed, "the preview has failed")
    ended = await own.get("preview")
    assert (ended["exitCode"], ended["output"]) == (3, ["no"])


async def test_a_preview_is_given_secrets_only_while_no_step_names_its_own(
    site: Installation, project: ProjectKey, http: httpx.AsyncClient
) -> None:
    command = 'echo "npm ${NPM_TOKEN:+given}"; exit 3'

    async def printed(secrets: list[str] | None) -> str:
        own = await make(site, project, http)
        async with site.database.transaction() as session:
            row = await session.get_one(JobSnapshot, own.job_id)
            snapshot = Snapshot.model_validate(row.document)
            snapshot.steps[0].secrets = secrets
            row.document = snapshot.model_dump(mode="json")
        await own.post("preview/start", 201, command=command, port=8123)

        async def failed() -> bool:
            return bool((await own.get("preview"))["state"] == "failed")

        await wait_until(failed, "the preview has ended")
        output = "\n".join((await own.get("preview"))["output"])
        await own.end()
        return output

    seen = await asyncio.gather(printed(None), printed(["NPM_TOKEN"]))
    assert [output.strip() for output in seen] == ["npm given", "npm"]


async def test_they_are_as_documented(own: Own) -> None:
    call = ContractClient(own.http)
    assert await call("getSandbox", id=own.id)
    assert await call("listSandboxFiles", id=own.id)
    read = {"data": await own.get("file", path="greet.py")}
    jsonschema.validate(read, closed(BY_ID["readSandboxFile"].schema or {}))
    assert await call("getSandboxDiff", id=own.id)
    assert await call("getSandboxPreview", id=own.id)
    start = {"sandboxId": own.id, "command": "sleep 5", "port": 9000}
    assert await call("startSandboxPreview", start)
    assert await call("stopSandboxPreview", {"sandboxId": own.id})
    assert await call("renameSandbox", {"sandboxId": own.id, "name": "Renamed"})
