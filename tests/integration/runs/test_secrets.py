"""Canary secrets: an agent prints, encodes and repeats them; they are looked for wherever a thing is kept."""

import asyncio
import base64
import re
import string
import time
from asyncio import Task
from collections.abc import Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from sqlmodel import col

from kit.crypto import Vault, last_four
from kit.redaction import MAX_SECRET_BYTES, MAX_SECRET_LINES, require_bounded
from models import AgentSession, Project, ProviderKey, ToolCall
from models.event import EventType
from models.projects.provider_key import Provider
from models.runs.run import PrStatus, Run, RunStatus
from tests.support.installation import Installation, wait_until
from tests.support.outcomes import RunOutcome, git, outcome_of
from tests.support.scenarios import bash, create, finish, register_scenario, tool_calls, with_delay

CANARY = f"canary-{uuid4().hex}-of-the-environment"
LINES = f"-----BEGIN CANARY-----\nfirst{uuid4().hex}\nsecond{uuid4().hex}\n-----END CANARY-----"
OWN_KEY = f"sk-or-canary-{uuid4().hex}"
SAID = f"The secret is {CANARY}, which I must not tell."
TELLING = register_scenario(
    "telling",
    {
        **tool_calls(
            ("bash", {"command": "env; cat /proc/self/environ; set"}),
            (
                "bash",
                {"command": 'echo "$CANARY" | base64; printf %s "x$CANARY" | base64 -w0; echo "$LINES"'},
            ),
            ("bash", {"command": 'printf %s "$CANARY" | od -An -tx1 | tr -d " \\n"; echo "$CANARY" >&2'}),
            ("bash", {"command": 'for i in $(seq 5000); do echo "$i $CANARY"; done'}),
            ("bash", {"command": f"echo {CANARY}; export COPY=$CANARY; git config --list; git remote -v"}),
        ),
        "text": SAID,
    },
    create("told.txt", "nothing\n"),
    with_delay(bash('echo "$CANARY" | sed s/canary/CANARY/ | wc -c; cat .git/config; false "$CANARY"'), 3),
    finish(f"Done. {SAID}"),
)
WRITING = register_scenario(
    "writing", bash('echo "key = $CANARY" > settings.ini'), finish("Wrote the settings.")
)
BURYING = register_scenario(
    "burying",
    bash('echo "$CANARY" > a.txt; git add -A; git commit -qm wip; git rm -q a.txt; echo b > b.txt'),
    finish("Wrote b.txt."),
)
ENCODING = register_scenario("encoding", bash('echo "$CANARY" | base64 -w0 > a.bin'), finish("Wrote a.bin."))
SECRETS = {"CANARY": CANARY, "LINES": LINES}
PRINTING = register_scenario("printing", *[bash("seq 2000")] * 5, finish("Counted."))
SHOWING = register_scenario("showing", *[bash('echo "$KEY0" | head -50')] * 5, finish("Shown."))


def canaries(site: Installation) -> dict[bytes, str]:
    """What is looked for, in several forms, and its name."""
    named = {"the environment's": CANARY, "a project's key": OWN_KEY}
    named |= {f"line {number} of LINES": line for number, line in enumerate(LINES.splitlines()[1:3])}
    for number, value in enumerate(site.settings.secret_values()):
        named[f"setting {number}"] = value
    found = {}
    for name, value in named.items():
        raw = value.encode()
        for form in (raw, base64.b64encode(raw)[:-4], raw.hex().encode()):
            found[form] = name
    return found


def assert_clean(site: Installation, data: bytes, where: str) -> None:
    leaks = {name for form, name in canaries(site).items() if form in data}
    assert leaks == set(), f"{where} holds {leaks}"


@pytest.fixture(scope="module")
async def plays(site: Installation) -> dict[str, Task[RunOutcome]]:
    tasks = {"telling": asyncio.create_task(_tell(site))}
    for name, tag in {"writing": WRITING, "burying": BURYING, "encoding": ENCODING}.items():
        tasks[name] = asyncio.create_task(_write(site, tag))
    return tasks


async def _tell(site: Installation) -> RunOutcome:
    project = await site.project(SECRETS, claude_md="Keep secrets.")
    vault = Vault(site.settings.encryption_keys.get_secret_value())
    key = ProviderKey(
        project_id=project.id,
        provider=Provider.openrouter,
        sealed=vault.seal(OWN_KEY),
        last_four=last_four(OWN_KEY),
    )
    await site.add(key)
    run = await site.start(f"Tell {TELLING}", project=project)
    await site.until(run, EventType.turn_completed, count=2)
    await site.command(run, "pause")
    await site.until(run, EventType.tool_completed, count=6)
    await _look_into_its_sandbox(site, run)
    await site.command(run, "resume")
    return await outcome_of(site, run)


async def _look_into_its_sandbox(site: Installation, run: Run) -> None:
    """While the run is held: every file of the sandbox, and what its processes were started with."""
    [box] = await site.sandboxes.find({"job": run.id})
    directory = site.parts.sandbox_data / "sandboxes" / box.id
    journal = directory / "home" / ".codecourier"
    assert list(journal.rglob("output.txt")), "the long output was kept in a file"
    assert (directory / "home" / "repo" / ".git" / "config").exists()
    for path in _files(directory):
        assert_clean(site, path.read_bytes(), f"the sandbox's file {path.relative_to(directory)}")


def _files(directory: Path) -> Iterator[Path]:
    return (path for path in directory.rglob("*") if path.is_file() and not path.is_symlink())


async def _write(site: Installation, tag: str) -> RunOutcome:
    return await outcome_of(site, await site.start(f"Write {tag}", project=await site.project(SECRETS)))


async def test_what_an_agent_prints_is_masked_and_its_work_goes_on(
    plays: dict[str, Task[RunOutcome]],
) -> None:
    outcome = await plays["telling"]
    assert (outcome.run.status, outcome.run.pr_status) == (RunStatus.completed, PrStatus.created)
    assert any("CANARY=[secret]" in call.result for call in outcome.calls)
    assert "The secret is [secret], which" in str(outcome.pulls[0]["body"])
    assert len([call for call in outcome.calls if "[secret]" in call.result]) >= 5


@pytest.mark.parametrize("which", ["writing", "burying", "encoding"])
async def test_a_change_that_holds_a_secret_is_refused(
    plays: dict[str, Task[RunOutcome]], which: str
) -> None:
    outcome = await plays[which]
    assert (outcome.run.status, outcome.run.error_code) == (RunStatus.failed, "SECRET_IN_CHANGE")
    assert (outcome.branches, outcome.pulls) == ([], [])
    assert "read it from the environment" in str(outcome.run.error_message)


async def test_no_repository_holds_a_secret(plays: dict[str, Task[RunOutcome]], site: Installation) -> None:
    for which, play in plays.items():
        outcome = await play
        listed = git(site, outcome.run, "cat-file", "--batch-all-objects", "--batch-check").split("\n")
        for object_id in (line.split()[0] for line in listed if line):
            kind = git(site, outcome.run, "cat-file", "-t", object_id).strip()
            if kind == "tree":
                continue
            content = git(site, outcome.run, "cat-file", kind, object_id)
            assert_clean(site, content.encode(), f"the repository of '{which}', {kind} {object_id}")
        assert_clean(site, str(outcome.pulls).encode(), f"the pull request of '{which}'")


async def test_no_table_holds_a_secret_in_clear(
    plays: dict[str, Task[RunOutcome]], site: Installation
) -> None:
    await asyncio.wait(plays.values())
    async with await psycopg.AsyncConnection.connect(site.parts.database_url(site.name)) as connection:
        tables = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        names = [str(row[0]) for row in await tables.fetchall()]
        assert {"event", "message", "tool_call", "project", "run", "provider_key"} <= set(names)
        for name in names:
            rows = await connection.execute(
                sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(name))
            )
            for row in await rows.fetchall():
                assert_clean(site, str(row[0]).replace("\\\\n", "\n").encode(), f"table {name}")


async def test_no_log_holds_a_secret(plays: dict[str, Task[RunOutcome]], site: Installation) -> None:
    await asyncio.wait(plays.values())
    logs = [site.log, *(site.parts.plan.directory / "logs").iterdir()]
    assert site.log.stat().st_size > 0
    for log in logs:
        assert_clean(site, log.read_bytes(), f"the log {log.name}")


async def test_no_history_holds_a_secret(plays: dict[str, Task[RunOutcome]], site: Installation) -> None:
    await asyncio.wait(plays.values())
    run = (await plays["telling"]).run

    async def is_listed() -> bool:
        return len([each async for each in site.client.list_workflows(f"CourierRunId = '{run.id}'")]) == 2

    await wait_until(is_listed, "the run and its session are listed")
    async for each in site.client.list_workflows():
        handle = site.client.get_workflow_handle(each.id, run_id=each.run_id)
        async for event in handle.fetch_history_events():
            assert_clean(site, event.SerializeToString(), f"the history of {each.id}")


async def test_a_project_with_as_many_secrets_as_may_be_holds_up_no_others_run(site: Installation) -> None:
    """Its own run masks each of its lines; the times are shown for who compares them."""
    letters = string.ascii_letters + string.digits
    lines = ["".join(Random(number).choices(letters, k=64)) for number in range(MAX_SECRET_LINES - 2)]
    values = ["\n".join(lines[half::2])[: MAX_SECRET_BYTES // 2] for half in range(2)]
    require_bounded(values)
    crowded = await site.project({f"KEY{number}": value for number, value in enumerate(values)})
    alone = await _seconds(site, PRINTING)
    beside, _ = await asyncio.gather(_seconds(site, PRINTING), _seconds(site, SHOWING, crowded))
    print(f"alone {alone:.2f} s, beside a project with 64 KiB of secrets {beside:.2f} s")


async def _seconds(site: Installation, prompt: str, project: Project | None = None) -> float:
    started = time.perf_counter()
    run = await site.ended(await site.start(prompt, project=project))
    assert run.status is RunStatus.completed, run.error_message
    if project is not None:
        agents = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
        calls = await site.rows(ToolCall, col(ToolCall.session_id) == agents[0].id, col(ToolCall.sequence))
        assert calls[0].result.count("[secret]") >= 10
        assert re.fullmatch(r"(\[secret\]\n?)+", calls[0].result)
    return time.perf_counter() - started
