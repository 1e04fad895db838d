"""Every kind of row that a workflow of its own works on, and what the engine knows of those workflows."""

import asyncio
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.chain_starting import SPRINT_CHAIN_WORKFLOW, WORK_CHAIN_WORKFLOW
from activities.damage import PAGE
from activities.job_starting import ANSWERING_WORKFLOW, INTEGRATION_WORKFLOW, ISSUE_SESSION_WORKFLOW
from activities.merge_starting import MERGE_WORKFLOW
from activities.starting import RUN_WORKFLOW
from models import AnsweringSession, IssueSession, MergeJob, Run, SprintChain, WorkChain
from models.answering_session import AnsweringStatus
from models.chain import ChainStatus
from models.issue_session import IssueSessionStatus
from models.merge_job import MergeStatus
from models.run import RunStatus

EngineRow = Run | IssueSession | AnsweringSession | SprintChain | WorkChain | MergeJob
AT_ONCE: Final = 20
"""Workflows that the engine is asked about at the same time."""
CLOSED: Final = {
    WorkflowExecutionStatus.COMPLETED, WorkflowExecutionStatus.FAILED, WorkflowExecutionStatus.CANCELED,
    WorkflowExecutionStatus.TERMINATED, WorkflowExecutionStatus.TIMED_OUT,
}  # fmt: skip


class EngineKind(NamedTuple):
    noun: str
    table: type[EngineRow]
    workflows: tuple[str, ...]
    unfinished: Sequence[StrEnum]
    again: str
    """How a user has it done again."""


_RUN = [status for status in RunStatus if not status.is_final]
_CHAIN = [status for status in ChainStatus if not status.is_final]
_SCAN = [IssueSessionStatus.pending, IssueSessionStatus.active]
_ANSWERING = [AnsweringStatus.pending, AnsweringStatus.active, AnsweringStatus.reviewed]
_MERGE = [status for status in MergeStatus if not status.is_final]
KINDS: Final = {
    "r": EngineKind("run", Run, (RUN_WORKFLOW,), _RUN, "restart it with POST /api/v1/runs/{id}/restart"),
    "is": EngineKind(
        "issue session", IssueSession, (ISSUE_SESSION_WORKFLOW,), _SCAN,
        "start another one with POST /api/v1/issue-sessions/start",
    ),
    "as": EngineKind(
        "answering session", AnsweringSession, (ANSWERING_WORKFLOW,), _ANSWERING,
        "create another one with POST /api/v1/answering-sessions",
    ),
    "sc": EngineKind(
        "sprint chain", SprintChain, (SPRINT_CHAIN_WORKFLOW,), _CHAIN,
        "resume it with POST /api/v1/sprint-chains/{id}/resume",
    ),
    "wc": EngineKind(
        "work chain", WorkChain, (WORK_CHAIN_WORKFLOW,), _CHAIN,
        "start it again with POST /api/v1/work-chains/start",
    ),
    "mj": EngineKind(
        "merge", MergeJob, (MERGE_WORKFLOW, INTEGRATION_WORKFLOW), _MERGE,
        "ask for the merge again; GET /api/v1/merging/get?id={id} says of what",
    ),
}  # fmt: skip
"""By the prefix of the row's id."""


def kind_of(id: str) -> EngineKind | None:
    return KINDS.get(id.partition("_")[0])


async def unfinished(session: AsyncSession, kind: EngineKind, after: str) -> list[EngineRow]:
    """A page of the rows of a kind that are not over, those after an id."""
    statement = (
        select(kind.table)
        .where(col(kind.table.status).in_(kind.unfinished), col(kind.table.id) > after)
        .order_by(col(kind.table.id))
        .limit(PAGE)
    )
    return list((await session.execute(statement)).scalars())


async def rows_of(session: AsyncSession, ids: Iterable[str]) -> dict[str, EngineRow]:
    """The rows that there are, by id, of whatever kinds."""
    found: dict[str, EngineRow] = {}
    wanted = set(ids)
    for prefix, kind in KINDS.items():
        of_kind = [each for each in wanted if each.partition("_")[0] == prefix]
        if of_kind:
            statement = select(kind.table).where(col(kind.table.id).in_(of_kind))
            found |= {row.id: row for row in (await session.execute(statement)).scalars()}
    return found


async def fate_of(client: Client, id: str) -> WorkflowExecutionStatus | None:
    """What the engine says of the workflow with this id; None when it has none.  Raises RPCError."""
    try:
        return (await client.get_workflow_handle(id).describe()).status
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            raise
        return None


async def fates_of(client: Client, ids: Iterable[str]) -> dict[str, WorkflowExecutionStatus | None]:
    """The same for many, some at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def ask(id: str) -> tuple[str, WorkflowExecutionStatus | None]:
        async with turn:
            return id, await fate_of(client, id)

    return dict(await asyncio.gather(*map(ask, ids)))
