"""Records `tests/histories` anew: `make histories`, whenever a workflow is changed on purpose.

Runs are played on the real engine and the histories of their workflows are written, without the traces of
the machine that played them.
"""

import asyncio
import json
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from sqlmodel import col

from activities.task_schedules import keep_schedule
from models import AgentSession, Run
from models.answering_session import AnsweringStatus
from models.blueprint import DEFAULT_STEPS, BlueprintConfig, PipelineStep
from models.chain import ChainStatus
from models.event import EventType
from models.persona import StepRole
from tests.runs import chains
from tests.runs import test_answering_sessions as answers
from tests.runs import test_issue_sessions as scans
from tests.runs import test_merges_of_several as several
from tests.runs import test_sprint_chains as sprint_chains
from tests.runs import test_work_chains as work_chains
from tests.runs.github import serving_api
from tests.runs.merges import a_pull
from tests.runs.parts import running
from tests.runs.scenarios import bash, calls, create, delayed, faulty, finish, scripted
from tests.runs.site import Site, eventually, opened
from tests.runs.test_recurring import a_task

HISTORIES: Final = Path(__file__).parent.parent / "histories"
LOOP = scripted("recorded-loop", bash("echo 2 >> made.txt"), finish("Did what was missing."), told="say more")
scripted("recorded-loop", create("made.txt", "1\n"), finish("Made it."), role="designer")
scripted("recorded-loop", finish("Fine.", verdict="pass"), role="checker", told="Iteration 2 of 3")
scripted("recorded-loop", finish("Not yet.", verdict="fail", feedback="say more"), role="checker")
TALKING = scripted("recorded-talking", {"toolCalls": [], "text": "Shall I go on?"})
SLOW = scripted("recorded-slow", create("a.txt", "a\n"), delayed(bash("echo b >> a.txt"), 1.5), finish())
LIMITED = scripted(
    "recorded-limited", faulty(create("a.txt", "a\n"), {"status": 429, "retryAfter": 1}), finish()
)
LOST = scripted("recorded-lost", create("a.txt", "a\n"), bash("sleep 3"), finish())
MUCH = {"command": "head -c 29000 /dev/zero | tr '\\0' x"}
LARGE = scripted(
    "recorded-large", calls(*[("bash", MUCH)] * 25), create("a.txt", "a\n"), bash("true"), finish()
)


async def _completed(site: Site) -> Run:
    return await site.start(f"Loop {LOOP}", DEFAULT_STEPS)


async def _failed(site: Site) -> Run:
    return await site.start(f"Talk {TALKING}")


async def _cancelled(site: Site) -> Run:
    run = await _slow(site)
    await site.handle(run).cancel()
    return run


async def _paused(site: Site) -> Run:
    run = await _slow(site)
    await site.command(run, "pause")
    await site.command(run, "resume")
    await site.tell(run, "And be quick.")
    return run


async def _stopped(site: Site) -> Run:
    run = await _slow(site)
    await site.command(run, "graceful_stop")
    return run


async def _slow(site: Site) -> Run:
    run = await site.start(f"Slow {SLOW}")
    await site.until(run, EventType.tool_completed)
    return run


async def _limited(site: Site) -> Run:
    return await site.start(f"Limited {LIMITED}")


async def _lost(site: Site) -> Run:
    run = await site.start(f"Lost {LOST}")
    await site.until(run, EventType.turn_completed, count=2)
    await asyncio.sleep(1)
    await site.sandboxes.kill_all({"job": run.id})
    return run


async def _compacted(site: Site) -> Run:
    step = PipelineStep(role=StepRole.designer, label="Work", model="claude-sonnet-4-5")
    run = await site.start(f"Large {LARGE}", [step])
    await site.until(run, EventType.context_compacted)
    return run


PLAYS: Final[dict[str, Callable[[Site], Awaitable[Run]]]] = {
    "completed": _completed,
    "failed": _failed,
    "cancelled": _cancelled,
    "paused": _paused,
    "stopped": _stopped,
    "lost-sandbox": _lost,
    "compacted": _compacted,
    "limited": _limited,
}


async def record(site: Site, directory: Path) -> None:
    for name, play in PLAYS.items():
        run = await site.ended(await play(site))
        await _write(site, directory / f"run-{name}.json", run.id)
        sessions = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
        for number, session in enumerate(sessions, 1):
            await _write(site, directory / f"agent-session-{name}-{number}.json", session.id)
    task = await a_task(site)
    await keep_schedule(site.database, site.client, task.id)
    await site.client.get_schedule_handle(task.id).trigger()
    await _write(site, directory / "recurring-task-fired.json", await _completed_of(site, "RecurringTask"))
    scan = await scans.start(site, await scans.a_scan(site, answers.ASK))
    row = await answers.answering(site, scan)
    await answers.reaches(site, row, AnsweringStatus.active)
    await answers.reviewed(site, row)
    await answers.reaches(site, row, AnsweringStatus.completed)
    await _write(site, directory / "issue-session-completed.json", scan.id)
    await _write(site, directory / "answering-session-completed.json", row.id)
    sprints = await chains.start(site, await sprint_chains.a_chain(site, 2, sprint_chains.SLOW))
    await chains.begun(site, sprints, 1)
    await _hold_and_go_on(site, sprints.id)
    await chains.reaches(site, sprints, ChainStatus.completed)
    await _write(site, directory / "sprint-chain-completed.json", sprints.id)
    slowly, nothing = work_chains.SLOWLY, work_chains.NOTHING
    issues = await chains.start(site, await work_chains.a_chain(site, slowly, nothing))
    await chains.begun(site, issues, 1)
    await _hold_and_go_on(site, issues.id)
    await chains.reaches(site, issues, ChainStatus.completed)
    await _write(site, directory / "work-chain-completed.json", issues.id)
    pulls = await several.six(site)
    merge = await several.start(pulls, await pulls.merge(1, 2, 3, 4, 5, check_command=several.NOT_BOTH))
    await several.ended(pulls, merge)
    await _write(site, directory / "merge-completed.json", merge.id)
    async with serving_api(site) as api:
        pull = await a_pull(site, api, config=BlueprintConfig(delete_branch_on_merge=True))
        check = await pull.github.begin_check(pull.sha)
        job_id = await pull.merge()
        await pull.blocked(job_id)
        await pull.github.end_check(check)
        await api.tell_of_check(pull.github.slug, pull.sha)
        await site.client.get_workflow_handle(job_id).result()
        await _write(site, directory / "pull-request-merge-completed.json", job_id)
    await _write(site, directory / "sweep-completed.json", await _completed_of(site, "Sweep"))


async def _hold_and_go_on(site: Site, chain_id: str) -> None:
    for command in ("pause", "resume"):
        await site.client.get_workflow_handle(chain_id).signal(command)


async def _completed_of(site: Site, kind: str) -> str:
    """The id of a completed workflow of this type."""
    ids: list[str] = []

    async def is_listed() -> bool:
        found = site.client.list_workflows(f"WorkflowType = '{kind}' AND ExecutionStatus = 'Completed'")
        ids[:] = [each.id async for each in found]
        return ids != []

    await eventually(is_listed, f"a completed {kind} is listed")
    return ids[0]


async def _write(site: Site, path: Path, id: str) -> None:
    history = await site.client.get_workflow_handle(id).fetch_history()
    document = json.loads(history.to_json())
    path.write_text(json.dumps({"workflowId": id, "history": cleaned(document)}, indent=1) + "\n")


def cleaned(value: JsonValue) -> JsonValue:
    """The same without names of processes and hosts, and without paths in the traces of errors."""
    if isinstance(value, list):
        return [cleaned(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: cleaned(item) for key, item in value.items() if key not in ("identity", "stackTrace")}
    if kept.get("kind") == "TASK_QUEUE_KIND_STICKY":
        kept["name"] = kept["normalName"]
    return kept


async def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with (
            running(Path(directory) / "parts") as parts,
            opened(parts, "recording", Path(directory) / "site") as site,
        ):
            await site.start_worker()
            recorded = Path(directory) / "histories"
            recorded.mkdir()
            await record(site, recorded)
            HISTORIES.mkdir(exist_ok=True)
            for old in HISTORIES.glob("*.json"):
                old.unlink()
            for new in recorded.iterdir():
                (HISTORIES / new.name).write_text(new.read_text())
    print(f"{len(list(HISTORIES.glob('*.json')))} histories were written to {HISTORIES}")
    os._exit(0)  # a client of Temporal may crash the interpreter as it exits


if __name__ == "__main__":
    asyncio.run(main())
