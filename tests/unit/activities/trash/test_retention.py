"""The trash kept: what expired is deleted for good, row by row, and what is not due stays."""

import secrets
from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlmodel import col, select
from temporalio.client import Client
from temporalio.service import RPCError

from activities.trash.launch import Deletion, project_deletion_id
from activities.trash.retention import TrashRetention
from kit.database import Database
from kit.ids import lowest_id
from kit.settings import Settings
from models import (
    Blueprint,
    IdempotencyRecord,
    Persona,
    Project,
    RecurringTask,
    WebhookDelivery,
    WebhookEndpoint,
)
from models.agent.session import AgentSession, Message, MessageRole, ToolCall
from models.agent.session_kind import SessionKind
from models.base import now
from models.blueprints.persona import StepRole, ThinkingEffort
from models.event import Event
from models.notifications.notification import Notification, NotificationType
from models.runs.run import Run, RunStatus
from models.schedules.recurrence import Frequency
from models.trash.kinds import TRASH_KINDS, TrashType
from models.trash.trashable import Trashable
from models.webhooks.delivery import RETENTION, DeliveryStatus
from tests.conftest import ProjectKey, make_project
from tests.unit.api.trash.test_trash import add, one_of_each, trash_all


@pytest.fixture
def keeping(database: Database, engine: Client, settings: Settings) -> TrashRetention:
    return TrashRetention(database, engine, settings)


async def row_of(database: Database, kind: TrashType, object_id: str) -> Trashable:
    async with database.transaction() as session:
        row: Trashable = await session.get_one(TRASH_KINDS[kind].table, object_id)
    return row


async def test_what_expired_is_purged_and_nothing_else(
    keeping: TrashRetention, database: Database, project: ProjectKey
) -> None:
    expired = await one_of_each(database, project.id)
    young = await one_of_each(database, (await make_project(database)).id)
    untouched = await one_of_each(database, (await make_project(database)).id)
    await trash_all(database, expired, days_ago=30.1)
    await trash_all(database, young, days_ago=29.9)
    assert await keeping.purge_expired() > 0
    for kind in TrashType:
        assert (await row_of(database, kind, expired[kind])).purged_at is not None, kind
        assert (await row_of(database, kind, young[kind])).purged_at is None, kind
        assert (await row_of(database, kind, untouched[kind])).deleted_at is None, kind
    before = [(await row_of(database, kind, expired[kind])).purged_at for kind in TrashType]
    await keeping.purge_expired()
    assert before == [(await row_of(database, kind, expired[kind])).purged_at for kind in TrashType]


async def test_answers_that_nobody_is_given_any_more_are_removed(
    keeping: TrashRetention, database: Database, project: ProjectKey
) -> None:
    """Also of projects that make no request any more."""
    ages = {"old": timedelta(hours=25), "young": timedelta(hours=23)}
    records = [
        IdempotencyRecord(
            project_id=project.id, key_id=project.key_id, key=key, request_hash="x", created_at=now() - age
        )
        for key, age in ages.items()
    ]
    await add(database, *records)
    await keeping.purge_expired()
    async with database.transaction() as session:
        of_project = col(IdempotencyRecord.project_id) == project.id
        left = await session.execute(select(col(IdempotencyRecord.key)).where(of_project))
        assert list(left.scalars()) == ["young"]


async def test_one_that_cannot_go_keeps_no_other(
    keeping: TrashRetention, database: Database, project: ProjectKey
) -> None:
    """A workflow that a recurring task came to use meanwhile; another that the user is just restoring."""
    blueprints = [
        Blueprint(project_id=project.id, name=name, pipeline_steps=[], config={}) for name in ("a", "b", "c")
    ]
    used, held, free = (blueprint.id for blueprint in blueprints)
    for blueprint in blueprints:
        blueprint.deleted_at = now() - timedelta(days=31)
    task = RecurringTask(
        project_id=project.id,
        target_workflow_id=used,
        title="t",
        prompt="p",
        timezone="UTC",
        frequency=Frequency.daily,
        scheduled_hour=0,
        scheduled_minute=0,
    )
    await add(database, *blueprints, task)
    async with database.transaction() as session:
        statement = select(Blueprint).where(col(Blueprint.id) == held).with_for_update()
        (await session.exec(statement)).one().restore()
        await keeping.purge_expired()
    assert (await row_of(database, TrashType.workflow, used)).purged_at is None
    assert (await row_of(database, TrashType.workflow, held)).deleted_at is None
    assert (await row_of(database, TrashType.workflow, free)).purged_at is not None


async def test_what_nobody_started_is_started(
    keeping: TrashRetention, database: Database, project: ProjectKey, engine: Client
) -> None:
    """Of a project on its way out, only its own deletion."""
    persona = Persona(project_id=project.id, name="Ann", type=StepRole.designer)
    persona.purge()
    other = await make_project(database)
    theirs = Persona(project_id=other.id, name="Ben", type=StepRole.designer)
    theirs.purge()
    for row in (persona, theirs):
        row.purged_at = now() - timedelta(minutes=1)
    await add(database, persona, theirs)
    async with database.transaction() as session:
        (await session.get_one(Project, other.id)).deleted_at = now() - timedelta(minutes=1)
    for _ in range(2):
        assert await keeping.start_deletions() >= 2
    for workflow_id in (Deletion.of(persona).temporal_workflow_id, project_deletion_id(other.id)):
        handle = engine.get_workflow_handle(workflow_id)
        assert (await handle.describe()).run_id
        await handle.terminate()
    with pytest.raises(RPCError, match="not found"):
        await engine.get_workflow_handle(Deletion.of(theirs).temporal_workflow_id).describe()


async def test_deliveries_that_are_over_are_pruned_after_their_retention(
    keeping: TrashRetention, database: Database, project: ProjectKey
) -> None:
    endpoint = WebhookEndpoint(
        project_id=project.id, url="https://example.com", secret="sealed", xact_id=0, position=0
    )
    old, young = now() - RETENTION - timedelta(minutes=1), now() - RETENTION + timedelta(minutes=1)
    rows = {
        name: WebhookDelivery(
            id=f"{lowest_id('whd', moment)[:-1]}{number}",
            project_id=project.id,
            endpoint_id=endpoint.id,
            event_id=name,
            event_type="run.completed",
            payload={},
            status=status,
        )
        for number, (name, moment, status) in enumerate(
            [
                ("old", old, DeliveryStatus.delivered),
                ("pending", old, DeliveryStatus.pending),
                ("young", young, DeliveryStatus.failed),
            ]
        )
    }
    async with database.transaction() as session:
        session.add(endpoint)
        await session.flush()
        session.add_all(rows.values())
    await keeping.purge_expired()
    statement = select(col(WebhookDelivery.event_id)).where(col(WebhookDelivery.endpoint_id) == endpoint.id)
    async with database.transaction() as session:
        left = (await session.execute(statement)).scalars().all()
    assert sorted(left) == ["pending", "young"]


@dataclass
class OldRun:
    """A run with a conversation, and what was written down of both."""

    run: Run
    session: AgentSession
    rows: list[Event | Notification | Message | ToolCall]


def run_of_age(project: ProjectKey, status: RunStatus, days_ago: float) -> OldRun:
    """All of it as if it were so many days old."""
    at = now() - timedelta(days=days_ago)
    run = Run(
        id=lowest_id("r", at)[:-20] + secrets.token_hex(10),
        project_id=project.id,
        run_number=secrets.randbelow(10**9),
        status=status,
        prompt="p",
        name="n",
        blueprint_id="wf",
        blueprint_name="w",
        github_repo_url="u",
        repository_slug="o/r",
        completed_at=at if status.is_final else None,
    )
    session = AgentSession(
        project_id=project.id,
        job_id=run.id,
        kind=SessionKind.worker,
        label="Work",
        model="m",
        thinking_effort=ThinkingEffort.low,
        system="s",
        max_turns=1,
    )
    ids = {
        prefix: lowest_id(prefix, at)[:-20] + secrets.token_hex(10)
        for prefix in ("evt", "notif", "msg", "tool")
    }
    rows: list[Event | Notification | Message | ToolCall] = [
        Event(id=ids["evt"], project_id=project.id, subject_id=run.id, seq=1, type="run.created"),
        Notification(
            id=ids["notif"],
            project_id=project.id,
            member_id=project.member_id,
            event_id=ids["evt"],
            type=NotificationType.run_completed,
            title="t",
            body="b",
        ),
        Message(id=ids["msg"], session_id=session.id, sequence=0, role=MessageRole.user, content=[]),
        ToolCall(
            id=ids["tool"],
            session_id=session.id,
            sequence=2,
            tool_use_id="t",
            name="bash",
            result="r",
            is_error=False,
            duration_ms=1,
        ),
    ]
    return OldRun(run, session, rows)


async def left_of(database: Database, given: OldRun) -> set[str]:
    async with database.transaction() as session:
        return {type(row).__name__ for row in given.rows if await session.get(type(row), row.id) is not None}


ALL = {"Event", "Notification", "Message", "ToolCall"}


async def test_events_and_transcripts_are_pruned_at_their_age(
    database: Database, engine: Client, settings: Settings, project: ProjectKey
) -> None:
    """However many there are, and not those of work that still goes on."""
    old, young = run_of_age(project, RunStatus.completed, 40.1), run_of_age(project, RunStatus.failed, 39.9)
    at_work = run_of_age(project, RunStatus.paused, 300)
    many = [run_of_age(project, RunStatus.completed, 41) for _ in range(3)]
    for each in (old, young, at_work, *many):
        await add(database, each.run)
        await add(database, each.session)
        await add(database, *each.rows)
    days = {"event_retention_days": 40, "transcript_retention_days": 40}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("activities.trash.retention.PRUNE_BATCH_ROWS", 2)
        await TrashRetention(database, engine, settings.model_copy(update=days)).purge_expired()
    assert [await left_of(database, each) for each in (old, *many)] == [set()] * 4
    assert await left_of(database, young) == ALL
    assert await left_of(database, at_work) == ALL - {"Notification"}
    async with database.transaction() as session:
        assert await session.get(Run, old.run.id) is not None


async def test_events_and_transcripts_are_not_pruned_when_retention_is_off(
    database: Database, engine: Client, settings: Settings, project: ProjectKey
) -> None:
    old = run_of_age(project, RunStatus.completed, 3_000)
    await add(database, old.run)
    await add(database, old.session)
    await add(database, *old.rows)
    for forgets, left in (("event", {"Message", "ToolCall"}), ("transcript", set[str]())):
        days = {"event_retention_days": None, "transcript_retention_days": None}
        await TrashRetention(database, engine, settings.model_copy(update=days)).purge_expired()
        assert await left_of(database, old) == (ALL if forgets == "event" else {"Message", "ToolCall"})
        days[f"{forgets}_retention_days"] = 400  # type: ignore[assignment]
        await TrashRetention(database, engine, settings.model_copy(update=days)).purge_expired()
        assert await left_of(database, old) == left
