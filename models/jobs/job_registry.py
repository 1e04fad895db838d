"""The registry of everything that a workflow of its own works on: jobs of every kind, and chains of them.

A kind is one entry here.  What is to be done with a row of each kind stands in two functions that mypy holds
complete: `activities.jobs.launch.start_row` and `activities.reconcile.row_closing.close_row`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from sqlalchemy import ColumnElement, or_, select
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from models.chains.chain import ChainStatus
from models.chains.sprint_chain import SprintChain
from models.chains.work_chain import WorkChain
from models.issues.answering_session import AnsweringSession, AnsweringStatus
from models.issues.issue_session import IssueSession, IssueSessionStatus
from models.learnings.extraction import ExtractionStatus, LearningExtraction
from models.merging.merge_job import MergeJob, MergeStatus
from models.runs.run import Run, RunSource, RunStatus
from models.sandboxes.sandbox_job import SandboxJob, SandboxJobStatus

WorkflowRow = (
    Run
    | IssueSession
    | AnsweringSession
    | SprintChain
    | WorkChain
    | MergeJob
    | SandboxJob
    | LearningExtraction
)
RUN_WORKFLOW: Final = "Run"
ISSUE_SESSION_WORKFLOW: Final = "IssueSession"
ANSWERING_WORKFLOW: Final = "AnsweringSession"
SPRINT_CHAIN_WORKFLOW: Final = "SprintChain"
WORK_CHAIN_WORKFLOW: Final = "WorkChain"
PULL_REQUEST_MERGE_WORKFLOW: Final = "PullRequestMerge"
COMBINED_MERGE_WORKFLOW: Final = "Merge"
SANDBOX_WORKFLOW: Final = "Sandbox"
EXTRACTION_WORKFLOW: Final = "LearningExtraction"
PAGE_SIZE: Final = 500
"""Rows that are read at once."""


@dataclass(frozen=True)
class JobKind:
    """What differs by kind, as far as others than the kind itself have to know."""

    prefix: str
    """Of its ids."""
    table: type[WorkflowRow]
    noun: str
    workflows: tuple[str, ...]
    """The types of the workflows that work on its rows."""
    unfinished: Sequence[StrEnum]
    """The statuses of rows that are not over."""
    retry_hint: str
    """How a user has it done again; `{id}` is the row's."""
    is_unstarted: ColumnElement[bool]
    """Whether a row was accepted, and no workflow has said yet that it has it."""
    cleanup_time: timedelta = timedelta(0)
    """How long its workflow may go on after its row is over, beyond what every workflow may."""

    @property
    def label(self) -> str:
        """The value of the search attribute `Kind` of its workflows."""
        return self.noun.replace(" ", "-")


_OF_CHAINS = [RunSource.sprint_chain, RunSource.work_chain]
_UNFINISHED_CHAIN = [status for status in ChainStatus if not status.is_final]
_JOB_KINDS = (
    JobKind(
        "r",
        Run,
        "run",
        (RUN_WORKFLOW,),
        [status for status in RunStatus if not status.is_final],
        "restart it with POST /api/v1/runs/{id}/restart",
        # A chain starts its own runs, and waits for them.
        (col(Run.status) == RunStatus.pending)
        & col(Run.queued_at).is_(None)
        & or_(col(Run.source).not_in(_OF_CHAINS), col(Run.restarted_from).is_not(None)),
    ),
    JobKind(
        "is",
        IssueSession,
        "issue session",
        (ISSUE_SESSION_WORKFLOW,),
        [IssueSessionStatus.pending, IssueSessionStatus.active],
        "start another one with POST /api/v1/issue-sessions/start",
        col(IssueSession.status) == IssueSessionStatus.pending,
    ),
    JobKind(
        "as",
        AnsweringSession,
        "answering session",
        (ANSWERING_WORKFLOW,),
        [AnsweringStatus.pending, AnsweringStatus.active, AnsweringStatus.reviewed],
        "create another one with POST /api/v1/answering-sessions",
        # It stays pending until there are questions.
        (col(AnsweringSession.status) == AnsweringStatus.pending)
        & col(AnsweringSession.started_at).is_(None),
    ),
    JobKind(
        "sc",
        SprintChain,
        "sprint chain",
        (SPRINT_CHAIN_WORKFLOW,),
        _UNFINISHED_CHAIN,
        "resume it with POST /api/v1/sprint-chains/{id}/resume",
        col(SprintChain.status) == ChainStatus.pending,
    ),
    JobKind(
        "wc",
        WorkChain,
        "work chain",
        (WORK_CHAIN_WORKFLOW,),
        _UNFINISHED_CHAIN,
        "start it again with POST /api/v1/work-chains/start",
        # Until its start is asked for, it waits for its user.
        (col(WorkChain.status) == ChainStatus.pending) & col(WorkChain.asked_at).is_not(None),
    ),
    JobKind(
        "mj",
        MergeJob,
        "merge",
        (PULL_REQUEST_MERGE_WORKFLOW, COMBINED_MERGE_WORKFLOW),
        [status for status in MergeStatus if not status.is_final],
        "ask for the merge again; GET /api/v1/merging/get?id={id} says of what",
        col(MergeJob.status) == MergeStatus.pending,
        # The merged branch is deleted after the row has closed, as long as GitHub makes it wait.
        cleanup_time=timedelta(days=1),
    ),
    JobKind(
        "lx",
        LearningExtraction,
        "learning extraction",
        (EXTRACTION_WORKFLOW,),
        [status for status in ExtractionStatus if not status.is_final],
        "what it found is kept; write down what is missing with POST /api/v1/learnings/create",
        col(LearningExtraction.status) == ExtractionStatus.pending,
    ),
    JobKind(
        "sj",
        SandboxJob,
        "sandbox",
        (SANDBOX_WORKFLOW,),
        [SandboxJobStatus.pending, SandboxJobStatus.running],
        "create another one with POST /api/v1/sandboxes/create",
        (col(SandboxJob.status) == SandboxJobStatus.pending) & col(SandboxJob.completed_at).is_(None),
    ),
)
JOB_KINDS: Final = {kind.prefix: kind for kind in _JOB_KINDS}
"""By the prefix of the row's id."""


def job_kind_of(id: str) -> JobKind | None:
    """By a row's id, or by that of a workflow of it."""
    return JOB_KINDS.get(id.partition("_")[0])


async def unfinished_rows(session: AsyncSession, kind: JobKind, after: str) -> list[WorkflowRow]:
    """A page of the rows of a kind that are not over, those after an id."""
    table = kind.table
    condition = (col(table.status).in_(kind.unfinished)) & (col(table.id) > after)
    return list(
        (
            await session.execute(select(table).where(condition).order_by(col(table.id)).limit(PAGE_SIZE))
        ).scalars()
    )


async def unstarted_rows(
    session: AsyncSession, kind: JobKind, until: datetime, after: str
) -> list[WorkflowRow]:
    """A page of the rows of a kind that were accepted until then and never started, those after an id."""
    table = kind.table
    condition = kind.is_unstarted & (col(table.created_at) < until) & (col(table.id) > after)
    return list(
        (
            await session.execute(select(table).where(condition).order_by(col(table.id)).limit(PAGE_SIZE))
        ).scalars()
    )


async def load_rows(session: AsyncSession, ids: Iterable[str]) -> dict[str, WorkflowRow]:
    """The rows that there are, by id, of whatever kinds."""
    found: dict[str, WorkflowRow] = {}
    wanted = set(ids)
    for prefix, kind in JOB_KINDS.items():
        of_kind = [each for each in wanted if each.partition("_")[0] == prefix]
        if of_kind:
            statement = select(kind.table).where(col(kind.table.id).in_(of_kind))
            found |= {row.id: row for row in (await session.execute(statement)).scalars()}
    return found
