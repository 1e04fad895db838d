"""What a run left behind, everywhere, and what must hold for every run whatever it did."""

import asyncio
import subprocess
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final

import httpx
from sqlmodel import col

from models import AgentSession, Event, Message, Notification, Run, RunStep, Sandbox, ToolCall, UsageRecord
from models.event import EventType
from models.run import RunStatus
from models.sandbox import SandboxStatus
from tests.runs.site import Site

Json = dict[str, object]
LAST: Final = {
    RunStatus.completed: EventType.run_completed,
    RunStatus.failed: EventType.run_failed,
    RunStatus.cancelled: EventType.run_cancelled,
}


@dataclass(frozen=True)
class Outcome:
    run: Run
    events: list[Event]
    steps: list[RunStep]
    messages: list[Message]
    calls: list[ToolCall]
    notifications: list[Notification]
    usage: list[UsageRecord]
    sandboxes: list[Sandbox]
    pulls: list[Json]
    branches: list[str]
    """Of the repository, besides `main`."""
    site: Site

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def file(self, path: str) -> str:
        """A file on the run's branch."""
        return self.git("show", f"{self.run.branch_name}:{path}")

    def commit(self) -> list[str]:
        """Author and subject of the run's commit."""
        return self.git("log", "-1", "--format=%an <%ae>%n%s", str(self.run.branch_name)).splitlines()

    def git(self, *words: str) -> str:
        return git(self.site, self.run, *words)


async def outcome_of(site: Site, run: Run, patience: float = 90) -> Outcome:
    """Wait for the run's end and look everywhere; asserts what holds for every run."""
    run = await site.ended(run, patience)
    sessions = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    ids = [session.id for session in sessions]
    outcome = Outcome(
        run=run,
        events=await site.events(run),
        steps=await site.rows(RunStep, col(RunStep.run_id) == run.id, col(RunStep.id)),
        messages=await site.rows(Message, col(Message.session_id).in_(ids), col(Message.id)),
        calls=await site.rows(ToolCall, col(ToolCall.session_id).in_(ids), col(ToolCall.id)),
        notifications=await site.rows(
            Notification, col(Notification.project_id) == run.project_id, col(Notification.id)
        ),
        usage=await site.rows(UsageRecord, col(UsageRecord.run_id) == run.id, col(UsageRecord.id)),
        sandboxes=await site.rows(Sandbox, col(Sandbox.job_id) == run.id, col(Sandbox.id)),
        pulls=await pulls_of(site, run),
        branches=branches_of(site, run),
        site=site,
    )
    await _holds_always(outcome)
    return outcome


async def _holds_always(outcome: Outcome) -> None:
    run, events = outcome.run, outcome.events
    assert [event.seq for event in events] == list(range(1, len(events) + 1)), "events have a gap"
    assert run.event_seq == len(events)
    assert events[0].type == EventType.run_created
    assert [event.type for event in events if EventType(event.type).is_last] == [LAST[run.status]]
    assert events[-1].type == LAST[run.status]
    assert await outcome.site.sandboxes.find({"job": run.id}) == [], "a sandbox is left"
    assert all(box.status in (SandboxStatus.killed, SandboxStatus.error) for box in outcome.sandboxes)
    assert outcome.branches in ([], [run.branch_name]), "more than one branch"
    assert len(outcome.pulls) <= 1, "more than one pull request"
    told = [(each.member_id, each.type, each.data["runId"]) for each in outcome.notifications]
    assert len(told) == len(set(told)), "a notification was sent twice"
    assert run.waiting is None
    assert run.completed_at is not None


async def pulls_of(site: Site, run: Run) -> list[Json]:
    token = site.settings.github_token
    assert token is not None
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        address = f"{site.settings.github_api_url}/repos/{run.repository_slug}/pulls?state=all"
        answer = await http.get(address)
        found: list[Json] = answer.raise_for_status().json() if answer.status_code != 404 else []
        return found


def branches_of(site: Site, run: Run) -> list[str]:
    if not (site.parts.forge_data / "repos" / f"{run.repository_slug}.git").exists():
        return []
    names = git(site, run, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    return [name for name in names if name != "main"]


def git(site: Site, run: Run, *words: str) -> str:
    """What git says of the forge's repository."""
    repository = site.parts.forge_data / "repos" / f"{run.repository_slug}.git"
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def playing(site: Site, **runs: Awaitable[Run]) -> dict[str, asyncio.Task[Outcome]]:
    """Runs that are played at the same time; each test awaits its own."""

    async def play(run: Awaitable[Run]) -> Outcome:
        return await outcome_of(site, await run)

    return {name: asyncio.create_task(play(run)) for name, run in runs.items()}
