"""What a run left behind, everywhere, and what must hold for every run whatever it did."""

import asyncio
import re
import subprocess
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

import httpx
from sqlmodel import col, select

from models import AgentSession, Event, Message, Notification, Run, RunStep, Sandbox, ToolCall, UsageRecord
from models.event import EventType
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.support.installation import Installation
from tests.support.waiting import TEST_TIMEOUT_SECONDS

Json = dict[str, object]
LAST_EVENT_BY_STATUS: Final = {
    RunStatus.completed: EventType.run_completed,
    RunStatus.failed: EventType.run_failed,
    RunStatus.cancelled: EventType.run_cancelled,
}

ALLOWED_AFTER_END: Final = ("pr.", "branch.", "ci.")
"""Events of a pull request may follow the end of its run."""


@dataclass(frozen=True)
class RunOutcome:
    run: Run
    events: list[Event]
    steps: list[RunStep]
    messages: list[Message]
    calls: list[ToolCall]
    notifications: list[Notification]
    usage: list[UsageRecord]
    sandboxes: list[Sandbox]
    running: int
    """Sandboxes of it that the fleet has."""
    pulls: list[Json]
    branches: list[str]
    """Of the repository, besides `main` and those of other runs; and so are `pulls`."""
    site: Installation

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


async def outcome_of(site: Installation, run: Run, patience: float = TEST_TIMEOUT_SECONDS) -> RunOutcome:
    """Wait for the run's end and look everywhere; asserts what holds for every run."""
    outcome = await collect_outcome(site, await site.ended(run, patience))
    assert [str(each) for each in broken_invariants(outcome)] == []
    return outcome


async def collect_outcome(site: Installation, run: Run) -> RunOutcome:
    """What the run has left behind by now."""
    run, usage = await _run_with_usage(site, run)
    sessions = await site.rows(AgentSession, col(AgentSession.job_id) == run.id, col(AgentSession.id))
    ids = [session.id for session in sessions]
    of_run = col(Notification.project_id) == run.project_id
    return RunOutcome(
        run=run,
        events=await site.events(run),
        steps=await site.rows(RunStep, col(RunStep.run_id) == run.id, col(RunStep.id)),
        messages=await site.rows(Message, col(Message.session_id).in_(ids), col(Message.id)),
        calls=await site.rows(ToolCall, col(ToolCall.session_id).in_(ids), col(ToolCall.id)),
        notifications=await site.rows(Notification, of_run, col(Notification.id)),
        usage=usage,
        sandboxes=await site.rows(Sandbox, col(Sandbox.job_id) == run.id, col(Sandbox.id)),
        running=len(await site.sandboxes.find({"job": run.id})),
        pulls=await pulls_of(site, run),
        branches=branches_of(site, run),
        site=site,
    )


async def _run_with_usage(site: Installation, run: Run) -> tuple[Run, list[UsageRecord]]:
    """The run and its records of one moment: a call that was lost may be charged after the end."""
    async with site.database.session() as session:
        await session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        of_run = col(UsageRecord.run_id) == run.id
        records = await session.exec(select(UsageRecord).where(of_run).order_by(col(UsageRecord.id)))
        return await session.get_one(Run, run.id), [*records]


class Severity(StrEnum):
    """What went wrong with a job, by what it means to its user."""

    lost = "lost"
    """Something that was accepted did not happen."""
    twice = "twice"
    """Something happened once more than it should."""
    wrong = "wrong"
    """Anything else that must not be."""


@dataclass(frozen=True)
class Finding:
    harm: Severity
    words: str

    def __str__(self) -> str:
        return self.words


def broken_invariants(outcome: RunOutcome) -> Iterator[Finding]:
    """What does not hold of a run that has ended, of all that holds for every run whatever it did."""
    run, types = outcome.run, outcome.types
    told = [
        (each.member_id, each.type, each.data["runId"], each.data.get("capUsd"))
        for each in outcome.notifications
        if each.data.get("runId") == run.id
    ]
    tail = [*types]
    is_over = all(box.status in (SandboxStatus.killed, SandboxStatus.error) for box in outcome.sandboxes)
    last = LAST_EVENT_BY_STATUS.get(run.status)
    while len(tail) > 1 and tail[-1].startswith(ALLOWED_AFTER_END):
        tail.pop()
    lasts = [each for each in types if EventType(each).is_final]
    laws = {
        "events have a gap": [event.seq for event in outcome.events] == list(range(1, len(types) + 1)),
        "the row counts other events": run.event_seq == len(types),
        "the first event is another": types[:1] == [EventType.run_created],
        "it did not end as its row says": lasts == [last],
        "something was told after the last event": tail[-1:] == [last],
        "a sandbox is left": outcome.running == 0,
        "a row says that a sandbox is left": is_over,
        "it waits for something": run.waiting is None,
        "nobody knows when it ended": run.completed_at is not None,
    }
    once = {
        "more than one branch": outcome.branches in ([], [run.branch_name]),
        "more than one pull request": len(outcome.pulls) <= 1,
        "a notification was sent twice": len(told) == len(set(told)),
    }
    yield from (Finding(Severity.wrong, words) for words, holds in laws.items() if not holds)
    yield from (Finding(Severity.twice, words) for words, holds in once.items() if not holds)


async def pulls_of(site: Installation, run: Run) -> list[Json]:
    token = site.settings.github_token
    assert token is not None
    headers = {"Authorization": f"Bearer {token.get_secret_value()}"}
    async with httpx.AsyncClient(trust_env=False, headers=headers) as http:
        address = f"{site.settings.github_api_url}/repos/{run.repository_slug}/pulls?state=all"
        answer = await http.get(address)
        found: list[Json] = answer.raise_for_status().json() if answer.status_code != 404 else []
        return [pull for pull in found if not _is_of_another(run, str(cast("Json", pull["head"])["ref"]))]


def branches_of(site: Installation, run: Run) -> list[str]:
    if not (site.parts.forge_data / "repos" / f"{run.repository_slug}.git").exists():
        return []
    names = git(site, run, "for-each-ref", "--format=%(refname:short)", "refs/heads").split()
    return [name for name in names if name != "main" and not _is_of_another(run, name)]


def _is_of_another(run: Run, branch: str) -> bool:
    """Whether it is the branch of another run, such as the one that this one goes on from."""
    number = re.match(r"codecourier/(\d+)-", branch)
    return number is not None and int(number[1]) != run.run_number


def git(site: Installation, run: Run, *words: str) -> str:
    """What git says of the forge's repository."""
    repository = site.parts.forge_data / "repos" / f"{run.repository_slug}.git"
    command = ["git", "-c", "safe.directory=*", "-C", str(repository), *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def start_outcomes(
    site: Installation, patience: float = TEST_TIMEOUT_SECONDS, /, **runs: Awaitable[Run]
) -> dict[str, asyncio.Task[RunOutcome]]:
    """Runs that are played at the same time; each test awaits its own."""

    async def play(run: Awaitable[Run]) -> RunOutcome:
        return await outcome_of(site, await run, patience)

    return {name: asyncio.create_task(play(run)) for name, run in runs.items()}
