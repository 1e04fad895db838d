"""The checker: after a fault, everything that was accepted is looked up everywhere.

Every accepted job has ended as it may; its events have no gap and no tail; what the forge and the fleet have
is what the ledger and the rows say, and what was asked for; the money is what the model was asked for; and no
secret is anywhere.
"""

import hashlib
import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psycopg
from psycopg import sql
from sqlmodel import col

from models import AgentSession, Effect, Message, Run, Sandbox
from models.agent.session import MessageRole
from models.event import EventType
from models.runs.run import RunStatus
from models.sandboxes.sandbox import SandboxStatus
from tests.chaos.environment import Accepted, Expected, FaultEnvironment, is_delivered
from tests.support.outcomes import Finding, RunOutcome, Severity, broken_invariants, collect_outcome


class Asked(NamedTuple):
    """One answer that the scripted model gave, as its log tells it."""

    turn: int
    tokens: int


async def check(stage: FaultEnvironment, expected: Expected) -> list[Finding]:
    """Everything that is not as it must be; call it when the jobs have had the time to end."""
    findings = [*stage.findings]
    asked = model_log(stage.site.parts.plan.log("model"))
    for job in stage.accepted:
        if job.ended_at is None:
            findings.append(_about(job, Finding(Severity.lost, f"it is {job.run.status}, not at its end")))
            continue
        outcome = await collect_outcome(stage.site, job.run)
        found = [*broken_invariants(outcome), *_unexpected(job, outcome, expected), *await _ledger(outcome)]
        found += _money(job, outcome, await _prompts(stage, outcome), asked)
        findings += [_about(job, each) for each in found]
    findings += await _strangers(stage)
    findings += await leaks(stage)
    return findings


def _about(job: Accepted, finding: Finding) -> Finding:
    return Finding(finding.harm, f"{job.run.id}: {finding.words}")


def _unexpected(job: Accepted, outcome: RunOutcome, expected: Expected) -> Iterator[Finding]:
    """What differs from what was asked for."""
    run = outcome.run
    if not is_delivered(job):
        is_silent = run.status is RunStatus.completed
        if expected is Expected.delivered or (expected is Expected.honest and is_silent):
            yield Finding(
                Severity.lost, f"{run.status} ({run.error_code}: {run.error_message}), {run.pr_status}"
            )
        return
    if len(outcome.pulls) == 0:
        yield Finding(Severity.lost, "the pull request is not at the forge")
    elif outcome.pulls[0]["number"] != run.pr_number:
        yield Finding(Severity.wrong, "its row names another pull request")
    if outcome.branches != [run.branch_name]:
        yield Finding(Severity.lost, f"the forge has the branches {outcome.branches}")
        return
    changed = outcome.git("diff", "--name-only", str(run.base_sha), str(run.branch_name)).split()
    if sorted(changed) != sorted(job.effect):
        yield Finding(Severity.lost, f"the branch changes {changed}")
        return
    for path, text in job.effect.items():
        there = outcome.file(path)
        if there != text:
            harm = Severity.twice if there.startswith(text) else Severity.lost
            yield Finding(harm, f"{path} holds {there!r}")
    if job.is_merged and (merges := outcome.types.count(EventType.pr_merged)) != 1:
        yield Finding(Severity.twice, f"it was merged {merges} times")
    if (commits := int(outcome.git("rev-list", "--count", f"{run.base_sha}..{run.branch_name}"))) != 1:
        yield Finding(Severity.twice, f"the branch has {commits} commits")


async def _ledger(outcome: RunOutcome) -> list[Finding]:
    """The ledger has every effect at the forge, and the forge has every effect of the ledger that is done."""
    run = outcome.run
    rows = await outcome.site.rows(Effect, col(Effect.subject_id) == run.id, col(Effect.key))
    done = [row for row in rows if row.kind == "pull-request" and row.done_at is not None]
    found = []
    if len(done) != len(outcome.pulls):
        words = f"the ledger has {len(done)} pull requests and the forge has {len(outcome.pulls)}"
        found.append(Finding(Severity.wrong, words))
    return found


async def _prompts(stage: FaultEnvironment, outcome: RunOutcome) -> dict[str, str]:
    """What tells the run's conversations apart in the model's log, by session."""
    sessions = await stage.site.rows(
        AgentSession, col(AgentSession.job_id) == outcome.run.id, col(AgentSession.id)
    )
    ids = [session.id for session in sessions]
    first = await stage.site.rows(
        Message,
        col(Message.session_id).in_(ids) & (col(Message.role) == MessageRole.user),
        col(Message.sequence),
    )
    digests: dict[str, str] = {}
    for message in first:
        texts = [str(block["text"]) for block in message.content if block.get("text")]
        digests.setdefault(message.session_id, digest(texts[0] if texts else ""))
    return digests


def _money(
    job: Accepted, outcome: RunOutcome, digests: dict[str, str], asked: dict[str, list[Asked]]
) -> Iterator[Finding]:
    """Every turn that is on the books was asked for, once on the books, with the tokens that it took."""
    recorded = [message for message in outcome.messages if message.usage]
    for session in {message.session_id for message in recorded}:
        given = asked.get(digests.get(session, ""), [])
        turns = len({each.turn for each in given})
        booked = [message for message in recorded if message.session_id == session]
        # One that reached its length limit may leave nothing behind, and the next one has its number again.
        whole = sum(message.stop_reason != "max_tokens" for message in booked)
        words = f"{len(booked)} turns are on the books and {turns} were asked for"
        if whole > turns:
            yield Finding(Severity.twice, words)
        if len(booked) < turns and is_delivered(job):
            yield Finding(Severity.lost, words)
        surplus = Counter(sum((message.usage or {}).values()) for message in booked)
        surplus -= Counter(each.tokens for each in given)
        for tokens in surplus.elements():
            yield Finding(Severity.wrong, f"a turn of {tokens} tokens is on the books and was not given")
    billed = sum(float(each.cost_usd) for each in outcome.usage)
    if abs(billed - float(outcome.run.cost_usd)) > 1e-6:
        yield Finding(Severity.wrong, f"the run cost {outcome.run.cost_usd} and its records {billed}")


async def _strangers(stage: FaultEnvironment) -> list[Finding]:
    """Runs that nobody asked for, and sandboxes that no live row has."""
    found = []
    runs = await stage.site.rows(Run, col(Run.project_id) == stage.project.id, col(Run.id))
    known = {job.run.id for job in stage.accepted}
    found += [Finding(Severity.twice, f"nobody asked for {run.id}") for run in runs if run.id not in known]
    ended = (SandboxStatus.killed, SandboxStatus.error)
    live = await stage.site.rows(Sandbox, col(Sandbox.status).not_in(ended), col(Sandbox.id))
    fleet = await stage.site.sandboxes.find({})
    if len(live) != len(fleet):
        words = f"{len(live)} rows say that a sandbox lives, and the fleet has {len(fleet)}"
        found.append(Finding(Severity.wrong, words))
    return found


async def leaks(stage: FaultEnvironment) -> list[Finding]:
    """The installation's own secrets, where anything is kept of this stage: rows, logs and repositories."""
    secrets = [value.encode() for value in stage.site.settings.secret_values()]
    places = {f"the log {path.name}": path.read_bytes() for path in stage.site.directory.glob("*.log")}
    for job in stage.accepted:
        repository = stage.site.parts.forge_data / "repos" / f"{job.run.repository_slug}.git"
        places |= {f"{job.run.id}'s repository": objects_of(repository)}
    async with await psycopg.AsyncConnection.connect(
        stage.site.parts.database_url(stage.site.name)
    ) as connection:
        tables = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (name,) in await tables.fetchall():
            rows = await connection.execute(
                sql.SQL("SELECT t::text FROM {} AS t").format(sql.Identifier(name))
            )
            places[f"table {name}"] = "\n".join(str(row[0]) for row in await rows.fetchall()).encode()
    return [
        Finding(Severity.wrong, f"a secret is in {place}")
        for place, text in places.items()
        if any(secret in text for secret in secrets)
    ]


def objects_of(repository: Path) -> bytes:
    """Every object of a repository at the forge: commits, trees and files."""
    words = ["git", "-c", "safe.directory=*", "-C", str(repository)]
    words += ["cat-file", "--batch-all-objects", "--batch"]
    return subprocess.run(words, capture_output=True, check=True).stdout


def model_log(log: Path) -> dict[str, list[Asked]]:
    """The answers that the scripted model has given, by the digest of their conversation's first message."""
    given: dict[str, list[Asked]] = {}
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith('{"answered"'):
            told = json.loads(line)
            given.setdefault(told["conversation"], []).append(Asked(told["turn"], told["tokens"]))
    return given


def digest(prompt: str) -> str:
    """How the model's log names a conversation."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:24]
