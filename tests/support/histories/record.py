"""Records the histories of this version anew: `make histories`, whenever a workflow is changed on purpose.

Runs are played on the real engine and the histories of their workflows are written, without the traces of
the machine that played them.  Those of a version that was released are not touched.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from pydantic import JsonValue
from sqlmodel import col

from activities.schedules.temporal_schedule import sync_temporal_schedule
from activities.trash.launch import Deletion, project_deletion_id, start_deletion, start_project_deletion
from models import AgentSession, FollowUp, Project, Run, WebhookEndpoint
from models.base import now
from models.blueprints.blueprint import DEFAULT_STEPS, BlueprintConfig, PipelineStep, Verify
from models.blueprints.persona import StepRole
from models.chains.chain import ChainStatus
from models.event import EventType
from models.issues.answering_session import AnsweringStatus
from models.runs.run import PrStatus
from models.trash.kinds import TrashType
from tests.integration.assets import test_assets as assets
from tests.integration.chains import test_sprint_chains as sprint_chains
from tests.integration.chains import test_work_chains as work_chains
from tests.integration.issues import test_answering_sessions as answers
from tests.integration.issues import test_issue_sessions as scans
from tests.integration.learnings import test_learnings as learnings
from tests.integration.merging import test_combined_merge as several
from tests.integration.schedules.test_recurring_tasks import a_task
from tests.integration.trash import test_permanent_deletion as deletions
from tests.support import chains, sandbox_jobs
from tests.support.github import serving_api
from tests.support.histories.versions import CURRENT, histories, is_sealed
from tests.support.installation import Installation, open_installation, wait_until
from tests.support.pull_requests import make_pull_request
from tests.support.scenarios import (
    bash,
    create,
    finish,
    register_scenario,
    tool_calls,
    with_delay,
    with_faults,
)
from tests.support.stack import run_servers
from tests.support.webhook_receiver import respond_with
from tests.support.webhooks import open_webhook_project

LOOP = register_scenario(
    "recorded-loop", bash("echo 2 >> made.txt"), finish("Did what was missing."), told="say more"
)
register_scenario("recorded-loop", create("made.txt", "1\n"), finish("Made it."), role="designer")
register_scenario("recorded-loop", finish("Fine.", verdict="pass"), role="checker", told="Iteration 2 of 3")
register_scenario("recorded-loop", finish("Not yet.", verdict="fail", feedback="say more"), role="checker")
GATED = register_scenario(
    "recorded-gated", bash("echo 2 >> made.txt"), finish("Fixed."), told="First attempt"
)
register_scenario("recorded-gated", create("made.txt", "1\n"), finish("First attempt."))
ASSESSED = register_scenario(
    "recorded-assessed", bash("ls"), finish("Scored.", score=70, reasons=["It is there."])
)
TALKING = register_scenario("recorded-talking", {"toolCalls": [], "text": "Shall I go on?"})
SLOW = register_scenario(
    "recorded-slow", create("a.txt", "a\n"), with_delay(bash("echo b >> a.txt"), 1.5), finish()
)
LIMITED = register_scenario(
    "recorded-limited", with_faults(create("a.txt", "a\n"), {"status": 429, "retryAfter": 1}), finish()
)
LOST = register_scenario(
    "recorded-lost", create("a.txt", "a\n"), bash("sleep 30"), create("a.txt", "a\n"), finish()
)
HEEDLESS = register_scenario("recorded-heedless", create("a.txt", "a\n"), bash("sleep 30"), finish())
MUCH = {"command": "head -c 29000 /dev/zero | tr '\\0' x"}
TWICE = register_scenario(
    "recorded-twice", bash("true"), {"toolCalls": [], "text": "Once."}, {"toolCalls": [], "text": "Twice."}
)
LARGE = register_scenario(
    "recorded-large", tool_calls(*[("bash", MUCH)] * 25), create("a.txt", "a\n"), bash("true"), finish()
)


async def _completed(site: Installation) -> Run:
    return await site.start(f"Loop {LOOP}", DEFAULT_STEPS)


async def _failed(site: Installation) -> Run:
    return await site.start(f"Talk {TALKING}")


async def _cancelled(site: Installation) -> Run:
    run = await _slow(site)
    await site.handle(run).cancel()
    return run


async def _paused(site: Installation) -> Run:
    run = await _slow(site)
    await site.command(run, "pause")
    await site.command(run, "resume")
    await site.tell(run, "And be quick.")
    return run


async def _stopped(site: Installation) -> Run:
    run = await _slow(site)
    await site.command(run, "graceful_stop")
    return run


async def _slow(site: Installation) -> Run:
    run = await site.start(f"Slow {SLOW}")
    await site.until(run, EventType.tool_completed)
    return run


async def _limited(site: Installation) -> Run:
    return await site.start(f"Limited {LIMITED}")


async def _lost(site: Installation) -> Run:
    """The agent is told that its file is gone, and makes it again."""
    run = await _lose(site, LOST)
    assert (await site.ended(run)).pr_status is PrStatus.created
    return run


async def _lost_work(site: Installation) -> Run:
    """The agent is told, and goes on as if nothing had happened."""
    run = await _lose(site, HEEDLESS)
    assert (await site.ended(run)).error_code == "WORK_LOST"
    return run


async def _lose(site: Installation, scenario: str) -> Run:
    run = await site.start(f"Lost {scenario}")
    await site.until(run, EventType.turn_completed, count=2)
    await asyncio.sleep(1)
    await site.sandboxes.kill_all({"job": run.id})
    return run


async def _verified(site: Installation) -> Run:
    """Its gate fails once, and the agent fixes what fails."""
    verify = Verify(command="grep -q 2 made.txt", max_attempts=1)
    return await site.start(f"Verify {GATED}", config=BlueprintConfig(verify=verify))


async def _assessed(site: Installation) -> Run:
    """An evaluator alone: nothing is pushed."""
    return await site.start(f"Assess {ASSESSED}", [PipelineStep(role=StepRole.evaluator, label="Score")])


async def _compacted(site: Installation) -> Run:
    step = PipelineStep(role=StepRole.designer, label="Work", model="claude-sonnet-4-5")
    run = await site.start(f"Large {LARGE}", [step])
    await site.until(run, EventType.context_compacted)
    return run


RECORDED_RUNS: Final[dict[str, Callable[[Installation], Awaitable[Run]]]] = {
    "completed": _completed,
    "failed": _failed,
    "cancelled": _cancelled,
    "paused": _paused,
    "stopped": _stopped,
    "lost-sandbox": _lost,
    "lost-work": _lost_work,
    "compacted": _compacted,
    "verified": _verified,
    "assessed": _assessed,
    "limited": _limited,
}


async def record(site: Installation, directory: Path) -> None:
    for name, play in RECORDED_RUNS.items():
        run = await site.ended(await play(site))
        await _write(site, directory / f"run-{name}.json", run.id)
        sessions = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
        for number, session in enumerate(sessions, 1):
            await _write(site, directory / f"agent-session-{name}-{number}.json", session.id)
    task = await a_task(site)
    await sync_temporal_schedule(site.database, site.client, task.id)
    await site.client.get_schedule_handle(task.id).trigger()
    await _write(site, directory / "recurring-task-fired.json", await _completed_of(site, "RecurringTask"))
    scan = await scans.start(site, await scans.a_scan(site, answers.ASK))
    row = await answers.answering(site, scan)
    await answers.reaches(site, row, AnsweringStatus.active)
    await answers.reviewed(site, row)
    await answers.reaches(site, row, AnsweringStatus.completed)
    await _write(site, directory / "issue-session-completed.json", scan.id)
    await _write(site, directory / "answering-session-completed.json", row.id)
    equipped = await assets.an_equipped_scan(site)
    await scans.ended(site, equipped)
    await _write(site, directory / "issue-session-equipped.json", equipped.id)
    await _record_extraction(site, directory)
    sprints = await chains.start(site, await sprint_chains.a_chain(site, 2, sprint_chains.SLOW))
    await chains.wait_for_started_runs(site, sprints, 1)
    await _hold_and_go_on(site, sprints.id)
    await chains.wait_for_status(site, sprints, ChainStatus.completed)
    await _write(site, directory / "sprint-chain-completed.json", sprints.id)
    slowly, nothing = work_chains.SLOWLY, work_chains.NOTHING
    issues = await chains.start(site, await work_chains.a_chain(site, slowly, nothing))
    await chains.wait_for_started_runs(site, issues, 1)
    await _hold_and_go_on(site, issues.id)
    await chains.wait_for_status(site, issues, ChainStatus.completed)
    await _write(site, directory / "work-chain-completed.json", issues.id)
    await _write(site, directory / "sandbox-completed.json", await _own_sandbox(site))
    pulls = await several.six(site)
    merge = await several.start(pulls, await pulls.merge(1, 2, 3, 4, 5, check_command=several.NOT_BOTH))
    await several.ended(pulls, merge)
    await _write(site, directory / "merge-completed.json", merge.id)
    async with serving_api(site) as api:
        pull = await make_pull_request(site, api, config=BlueprintConfig(delete_branch_on_merge=True))
        check = await pull.github.begin_check(pull.sha)
        job_id = await pull.merge()
        await pull.blocked(job_id)
        await pull.github.end_check(check)
        await api.tell_of_check(pull.github.slug, pull.sha)
        await site.client.get_workflow_handle(job_id).result()
        await _write(site, directory / "pull-request-merge-completed.json", job_id)
    await record_hints(site, directory)
    await _webhook(site, directory / "webhook-completed.json")
    for sweep in ("StartSweep", "ReconcileSweep"):
        name = f"{sweep.removesuffix('Sweep').lower()}-sweep-completed.json"
        await _write(site, directory / name, await _completed_of(site, sweep))
    await record_deletions(site, directory)


async def record_hints(site: Installation, directory: Path) -> None:
    """Of a pull request that was merged on GitHub itself."""
    async with serving_api(site) as api:
        pull = await make_pull_request(site, api, ci=False)
        await pull.merge_on_github()
        await api.tell_of_merge(pull.github.slug, int(pull.run.pr_number or 0))
        await site.until(pull.run, EventType.pr_merged)
        hints = f"github-hints-{pull.run.id}"
        await site.client.get_workflow_handle(hints).result()
        await _write(site, directory / "github-hints-completed.json", hints)


async def record_deletions(site: Installation, directory: Path) -> None:
    """Of a run, of the project that it was of, and what sees to it that neither is forgotten."""
    run = await deletions.a_cancelled_run(site)
    await deletions.purge(site, run)
    deletion = Deletion(type=TrashType.run, id=run.id, project_id=run.project_id)
    await start_deletion(site.client, deletion)
    await site.client.get_workflow_handle(deletion.temporal_workflow_id).result()
    await _write(site, directory / "permanent-deletion-completed.json", deletion.temporal_workflow_id)
    async with site.database.transaction() as session:
        (await session.get_one(Project, run.project_id)).deleted_at = now()
    await start_project_deletion(site.client, run.project_id)
    project_deletion = project_deletion_id(run.project_id)
    await site.client.get_workflow_handle(project_deletion).result()
    await _write(site, directory / "project-deletion-completed.json", project_deletion)
    keeping = await _completed_of(site, "TrashKeeping")
    await _write(site, directory / "trash-keeping-completed.json", keeping)


async def _record_extraction(site: Installation, directory: Path) -> None:
    project = await learnings.learning_project(site)
    run = await site.start(f"Learn {learnings.TEACHING}", learnings.STEPS, project=project)
    extraction = await learnings.extracted(site, await site.ended(run))
    await site.client.get_workflow_handle(extraction.id).result()
    await _write(site, directory / "learning-extraction-completed.json", extraction.id)


async def _webhook(site: Installation, path: Path) -> None:
    """Two events, received by their second attempt; then the endpoint is disabled."""
    async with open_webhook_project(site) as hooks:
        hooks.receiver.behaviours = {"/ok": respond_with(500)}
        endpoint = await hooks.endpoint("/ok", wanted="issue.*")
        await hooks.happen(2)
        await hooks.received("/ok", 2)
        hooks.receiver.behaviours = {}
        await hooks.received("/ok", 4)
        async with site.database.transaction() as session:
            (await session.get_one(WebhookEndpoint, endpoint.id, with_for_update=True)).disable("It is over.")
        await hooks.wake(endpoint)
        await site.client.get_workflow_handle(endpoint.id).result()
        await _write(site, path, endpoint.id)


async def _own_sandbox(site: Installation) -> str:
    """The id of a sandbox of one's own in which an agent worked twice, and whose time is over."""
    project = await site.project()
    job, _ = await sandbox_jobs.start(site, project.id, await site.repository(), f"Do {TWICE}", 8)
    await asyncio.sleep(4)
    message = FollowUp(project_id=project.id, job_id=job.id, content="Once more.")
    await site.add(message)
    handle = site.client.get_workflow_handle(job.id)
    await handle.execute_update("follow_up", message.id)
    await handle.result()
    return job.id


async def _hold_and_go_on(site: Installation, chain_id: str) -> None:
    for command in ("pause", "resume"):
        await site.client.get_workflow_handle(chain_id).signal(command)


async def _completed_of(site: Installation, kind: str) -> str:
    """The id of a completed workflow of this type."""
    ids: list[str] = []

    async def is_listed() -> bool:
        found = site.client.list_workflows(f"WorkflowType = '{kind}' AND ExecutionStatus = 'Completed'")
        ids[:] = [each.id async for each in found]
        return ids != []

    await wait_until(is_listed, f"a completed {kind} is listed")
    return ids[0]


async def _write(site: Installation, path: Path, id: str) -> None:
    history = await site.client.get_workflow_handle(id).fetch_history()
    document = json.loads(history.to_json())
    path.write_text(
        json.dumps({"workflowId": id, "history": strip_machine_traces(document)}, indent=1) + "\n"
    )


def strip_machine_traces(value: JsonValue) -> JsonValue:
    """The same without names of processes and hosts, and without paths in the traces of errors."""
    if isinstance(value, list):
        return [strip_machine_traces(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        key: strip_machine_traces(item)
        for key, item in value.items()
        if key not in ("identity", "stackTrace")
    }
    if kept.get("kind") == "TASK_QUEUE_KIND_STICKY":
        kept["name"] = kept["normalName"]
    return kept


async def main() -> None:
    if is_sealed(CURRENT):
        sys.exit(f"{CURRENT.name} was released: give the next version its number in pyproject.toml first")
    with tempfile.TemporaryDirectory() as directory:
        async with (
            run_servers(Path(directory) / "parts") as parts,
            open_installation(parts, "recording", Path(directory) / "site") as site,
        ):
            await site.start_worker()
            recorded = Path(directory) / "histories"
            recorded.mkdir()
            await record(site, recorded)
            CURRENT.mkdir(parents=True, exist_ok=True)
            for old in histories(CURRENT):
                old.unlink()
            for new in recorded.iterdir():
                (CURRENT / new.name).write_text(new.read_text())
    print(f"{len(histories(CURRENT))} histories were written to {CURRENT}")
    os._exit(0)  # a client of Temporal may crash the interpreter as it exits


if __name__ == "__main__":
    asyncio.run(main())
